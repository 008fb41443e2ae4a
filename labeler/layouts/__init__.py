"""Layouts of datasets on disk: one file reads and writes one layout."""
