"""Training: recipes, losses, steps, and weights at the end."""
