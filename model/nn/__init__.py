"""Bodies and blocks that networks are built of, and how they compute."""
