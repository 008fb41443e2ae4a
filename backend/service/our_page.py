"""Whether a form comes from our own status page."""

from flask import request


def from_our_page() -> bool:
    """Whether it was sent from our own page: a browser shows the password by itself."""
    origin = request.headers.get("Origin")
    return origin is None or origin.split("://")[-1] == request.host
