"""What the worker does: submissions, masks, retraining."""
