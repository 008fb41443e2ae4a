"""How datasets lie on disk: each layout is read and written in one file."""
