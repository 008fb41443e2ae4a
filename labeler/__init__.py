"""The domain: clips, masks, references, and the dataset on disk. No torch, no HTTP."""
