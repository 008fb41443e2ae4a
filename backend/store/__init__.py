"""What the plugin keeps in the workspace's database: events, jobs, facts."""
