"""The cross-check: what people say of masks, what comes of it, and what to look at next."""
