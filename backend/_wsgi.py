"""The application for a WSGI server, and for `label-studio-ml start ./backend`.

That command puts this folder first on `sys.path` and runs this file as a script.
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
if sys.path and Path(sys.path[0] or ".").resolve() == HERE:
    sys.path[0] = str(HERE.parent)  # our modules are `backend.*`, and must not hide others

from backend.credentials import credentials  # noqa: E402
from backend.service.plugin import Service  # noqa: E402
from backend.service.server import create_app  # noqa: E402
from backend.settings import Settings  # noqa: E402

_settings = Settings()
app = create_app(Service.opened(_settings), credentials(_settings))

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", "--port", type=int, default=9090)
    parser.add_argument("--host", default="127.0.0.1")
    options, _ = parser.parse_known_args()

    from backend.service.listening import listening

    listening(app, options.host, options.port, os.cpu_count() or 4).run()
