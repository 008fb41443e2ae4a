"""The whole circle of labelling and retraining, simulated on a labelled dataset."""
