"""What comes in: videos by the rules of MVPS, and datasets of other layouts."""
