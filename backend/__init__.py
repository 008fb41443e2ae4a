"""The plugin: the service for Label Studio, the worker, and the command line `mvps`."""
