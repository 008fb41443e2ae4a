"""Whether a form comes from our own status page."""

from flask import request


def from_our_page() -> bool:
    """Whether the request comes from our own page.

    A password is not enough: the browser also adds it to forms on other sites that point here.
    """
    origin = request.headers.get("Origin")
    return origin is None or origin.split("://")[-1] == request.host
