"""How picture files of others are opened, and what their colours mean."""
