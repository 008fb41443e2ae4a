"""The plugin: the command line, and what ties the domain to the networks."""
