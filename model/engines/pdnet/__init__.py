"""PDNet, the part-decoupling network."""
