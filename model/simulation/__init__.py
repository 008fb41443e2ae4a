"""A simulation of labelling and retraining, round by round, on a labelled dataset."""
