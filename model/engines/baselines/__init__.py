"""Engines that have learnt nothing."""
