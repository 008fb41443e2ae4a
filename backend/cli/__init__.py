"""The command line `mvps`."""
