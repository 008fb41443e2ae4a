"""What keeps the pages for people from being used by other pages in the same browser."""

from flask import Response, request

CALLED_BY_STUDIO = frozenset({"/predict", "/setup", "/webhook"})
"""The routes that programs call; everything else that changes something is for people's forms."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Without any referrer, browsers would send the forms of our own pages with the origin "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer says: no frame, no script, nothing from elsewhere, nothing kept."""


def from_our_page() -> bool:
    """Whether the request comes from our own page.

    A password is not enough: the browser also adds it to forms on other sites that point here.
    Every browser of today says where a form comes from; who does not say it is refused.
    """
    origin = request.headers.get("Origin", "")
    scheme, _, host = origin.partition("://")
    return scheme in ("http", "https") and host == request.host


def changes_something() -> bool:
    """Whether the request is one that only a person's form may make."""
    return request.method not in ("GET", "HEAD", "OPTIONS") and request.path not in CALLED_BY_STUDIO


def guarded(answer: Response) -> Response:
    """Add the headers that keep other pages out; a page may have said some otherwise."""
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer
