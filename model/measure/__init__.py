"""Measuring engines: how good their masks are, and how few of them a person must correct."""
