"""What a network is trained on: where pictures come from, and the samples made of them."""
