"""Training data: readers of pictures, clips and their labels, and a store that keeps them."""
