"""The networks and their life cycle. It knows nothing of Label Studio."""
