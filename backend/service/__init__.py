"""The service that answers Label Studio, and the pages for people."""
