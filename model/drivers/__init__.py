"""Drivers, which run any network over a clip, and steps that improve any network's predictions."""
