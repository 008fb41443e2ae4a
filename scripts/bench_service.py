"""How fast the service answers the webhook, while others wait, stay half open, or submit, too.

python scripts/bench_service.py
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.credentials import SECRET_HEADER
from backend.store.facts import WORKER_ALIVE, Facts
from backend.store.inbox import Inbox
from labeler.workspace.workspace import Workspace
from tests.backend.webhooks import submission, task
from tests.workspaces import make_clip, square

PORT = 19191


def ask(path: str, payload: Any, headers: dict[str, str]) -> float:
    """Send a request, and return how many seconds the answer took."""
    url, body = f"http://127.0.0.1:{PORT}{path}", json.dumps(payload).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"} | headers)
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()
    return time.perf_counter() - began


def say(name: str, seconds: list[float]) -> None:
    """Print the percentiles of some answers."""
    p50, p99, most = 1000 * np.percentile(seconds, [50, 99, 100])
    print(
        f"{name}: p50 {p50:.0f} ms, p99 {p99:.0f} ms, at most {most:.0f} ms, {len(seconds)} calls"
    )


def main() -> None:
    """Start the service on a small workspace, and measure."""
    root = Path(tempfile.mkdtemp()) / "workspace"
    workspace = Workspace(root)
    make_clip(workspace)
    secrets = {"MVPS_WEBHOOK_SECRET": "hook", "BASIC_AUTH_USER": "a", "BASIC_AUTH_PASS": "b"}
    command = [sys.executable, "-m", "backend", "-w", str(root), "serve", "--port", str(PORT)]
    hook = {SECRET_HEADER: "hook"}
    basic = {"Authorization": "Basic " + b64encode(b"a:b").decode()}
    with subprocess.Popen(command, env=os.environ | secrets, stdout=subprocess.DEVNULL) as service:
        facts = Facts(workspace.database)
        over = threading.Event()

        def alive() -> None:
            while not over.wait(5):
                facts.tell(WORKER_ALIVE, "bench")

        facts.tell(WORKER_ALIVE, "bench")
        threading.Thread(target=alive, daemon=True).start()
        while True:
            try:
                ask("/webhook", {"action": "PROJECT_CREATED"}, hook)
                break
            except OSError:
                time.sleep(0.2)

        def submit(number: int) -> float:
            return ask("/webhook", submission(square(1), annotation=number), hook)

        say("1 client", [submit(number) for number in range(100)])
        with ThreadPoolExecutor(16) as pool:
            say("16 clients", list(pool.map(submit, range(1000, 1400))))
        with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
            for _ in range(8):
                pool.submit(ask, "/predict", {"tasks": [task("walk", 5)]}, basic)
            for _ in range(200):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", PORT)))
                connection.sendall(b"POST /webhook HTTP/1.1\r\n")
            say("beside 8 predictions, 200 half open", [submit(n) for n in range(2000, 2200)])
            over.set()
            service.terminate()
    kept = sum(Inbox(workspace.database).counted().values())
    print(f"{kept} of 700 submissions are kept; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
