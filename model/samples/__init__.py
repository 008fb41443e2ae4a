"""Training samples: how pictures and clips become batches."""
