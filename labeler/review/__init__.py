"""Reviewing: corrections, the cross-check by other people, and what to correct next."""
