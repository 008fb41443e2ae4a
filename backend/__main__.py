"""`python -m backend` is `mvps`."""

from backend.cli import main

main()
