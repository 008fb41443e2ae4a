"""Collecting: adds videos by the rules of MVPS, and imports datasets of other layouts."""
