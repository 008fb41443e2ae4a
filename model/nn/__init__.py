"""Backbones, blocks that networks are built of, and the precision they compute in."""
