"""`python -m backend` is `mvps`."""

from backend.cli.main import main

main()
