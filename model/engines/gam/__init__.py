"""GAM, the carrier with a generative appearance memory."""
