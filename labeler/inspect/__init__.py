"""What is seen in masks and datasets: odd masks, statistics, pages to look at."""
