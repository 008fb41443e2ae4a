"""Text from outside made safe to keep and to show, and names of clips made of it."""
