"""Listens for requests, so that neither waiting nor stuck callers hold up a submission."""

import time
from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server

from backend.service.plugin import WAITING
from backend.service.server import MAX_REQUEST_BYTES

CONNECTIONS = 2000
"""Connections open at once; half-open ones cost little until they are cut."""

SILENT = 15
"""Seconds after which a connection that says nothing, and waits for no answer, is cut."""

SLOWEST = 60
"""Seconds within which a request must have come as a whole, however it trickles in."""


class _Request(HTTPRequestParser):  # type: ignore[misc]
    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.began = time.time()


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Request


def listening(app: Flask, host: str, port: int, threads: int) -> Any:
    """Return a server that listens; `run` answers until the process is told to end.

    Args:
        app: the service.
        host: the address to listen on.
        port: the port; 0 means any, see `effective_port`.
        threads: requests answered at once. Predictions that wait for a mask have threads beside
            these, so a submission never waits for them.
    """
    server = create_server(
        app,
        host=host,
        port=port,
        threads=threads + WAITING,
        ident="mvps",
        max_request_body_size=MAX_REQUEST_BYTES,  # larger requests are refused unread
        connection_limit=CONNECTIONS,
        backlog=CONNECTIONS,
        channel_timeout=SILENT,
        cleanup_interval=5,
        asyncore_use_poll=True,  # select() knows no more than 1,024 files
    )
    for each in getattr(server, "_servers", [server]):
        each.channel_class = _Channel
        each.maintenance = lambda now, each=each: _cut(each, now)
    return server


def _cut(server: Any, now: float) -> None:
    """Close the connections that say nothing, or too little."""
    for channel in list(server.active_channels.values()):
        request = channel.request
        slow = request is not None and request.began < now - SLOWEST
        silent = not channel.requests and channel.last_activity < now - SILENT
        if slow or silent:
            channel.will_close = True
