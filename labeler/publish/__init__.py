"""Publishing: datasets, their lists, 480p copies and manifests, and snapshots to train on."""
