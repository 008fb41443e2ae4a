"""Inspecting masks and datasets: suspicious masks, statistics, and pages to look at."""
