"""Label Studio: its client, its projects and tasks, its annotations."""
