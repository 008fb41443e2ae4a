"""What goes out: datasets, their lists, copies, manifests, and snapshots to train on."""
