"""The engines: one folder for each, whose `ENGINES` lists what it brings."""
