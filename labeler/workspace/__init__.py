"""The workspace: one folder and one database with all clips and masks."""
