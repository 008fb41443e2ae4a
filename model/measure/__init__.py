"""Measure engines: how good their masks are, and how many of them a person must correct."""
