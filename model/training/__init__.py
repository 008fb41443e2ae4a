"""Training: steps, checkpoints, and weights at the end."""
