"""What drives any network through a clip, and what improves any network's answers."""
