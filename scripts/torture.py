"""Kill the real processes at random moments, and count the acknowledged masks that are left.

python scripts/torture.py --seconds 300

`mvps add`, `import`, `correct`, `check` and `export` run beside a service and a worker, and each
is killed (SIGKILL, with its children) at some moment between its start and its end. A mask is
acknowledged when its command ends with 0, or when the webhook's request is answered with 200. In
the end each has to be there, as a person's mask with the same SHA-256 of its pixels, read from its
file. The exit code is 1 if one is not.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.credentials import SECRET_HEADER
from backend.store.inbox import EventState, Inbox
from labeler.mask import Mask, encode_mask, mask_digest
from labeler.workspace.workspace import Workspace
from tests.backend.webhooks import submission
from tests.labeler.made_datasets import made_dataset, made_mask
from tests.labeler.videos import write_video
from tests.workspaces import SIZE, make_clip

FRAMES = range(0, 60, 5)
SIZE_OF_IMPORTS = (162, 122)
USUAL = 8.0
"""For how many seconds a command is thought to run before the first has run to its end."""


class Campaign:
    """The processes, what was killed, and what was acknowledged."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.root = folder, folder / "workspace"
        workspace = Workspace(self.root)
        make_clip(workspace, frame_count=60)
        workspace.close()
        self.dataset = made_dataset(folder / "dataset", size=SIZE_OF_IMPORTS)
        self.video = write_video(folder / "video.mp4", 24)
        self.random, self.numbers, self.lock = random.Random(seed), 0, threading.Lock()
        self.usual: dict[str, float] = {}
        self.ended: Counter[tuple[str, str]] = Counter()
        self.masks: set[tuple[str, int, str]] = set()
        self.clips: set[str] = set()
        self.said: dict[str, str] = {}
        self.end = 0.0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def number(self) -> int:
        """Return a number that nobody else has."""
        with self.lock:
            self.numbers += 1
            return self.numbers

    def mask(self, number: int) -> Mask:
        """Return a mask that no other number has: a square, and the number's bits below it."""
        mask = np.zeros(SIZE, bool)
        mask[20:48, 30:60] = True
        mask[60, :32] = [number >> bit & 1 for bit in range(32)]
        return mask

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command of `mvps` in a process group of its own."""
        settings = {"MVPS_WEBHOOK_SECRET": "hook", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "backend", "-w", str(self.root), *command],
            env=os.environ | settings,
            cwd=Path(__file__).parents[1],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str) -> bool:
        """Run a command, kill it at a random moment, and return whether it had ended with 0."""
        name, began = command[0], time.monotonic()
        with self.start(*command) as process:
            try:
                wait = self.random.uniform(0.3, 1.4) * self.usual.get(name, USUAL)
                said = process.communicate(timeout=wait)[1]
            except subprocess.TimeoutExpired:
                kill(process)
                said = process.communicate()[1]
        code = process.returncode
        how = {0: "acknowledged", -signal.SIGKILL: "killed"}.get(code, "refused")
        if code == 0:
            self.usual[name] = time.monotonic() - began
        elif how == "killed":  # slower than thought, perhaps: give the next one more time
            self.usual[name] = 1.05 * self.usual.get(name, USUAL)
        with self.lock:
            self.ended[name, how] += 1
            if how == "refused":
                self.said[name] = " ".join(said.split())[-300:]
        return code == 0

    def keep_killing(self, *command: str) -> None:
        """Run a service or worker, kill it after some seconds, and start it again."""
        while time.monotonic() < self.end:
            with self.start(*command) as process:
                try:
                    process.communicate(timeout=self.random.uniform(1, 15))
                    how = "refused"
                except subprocess.TimeoutExpired:
                    kill(process)
                    process.communicate()
                    how = "killed"
            with self.lock:
                self.ended[command[0], how] += 1

    def submit(self) -> None:
        """Send submissions to the service's webhook, as Label Studio does."""
        while time.monotonic() < self.end:
            number, frame = self.number(), self.random.choice(FRAMES)
            mask = self.mask(number)
            body = json.dumps(submission(mask, annotation=number, frame=frame)).encode()
            headers = {"Content-Type": "application/json", SECRET_HEADER: "hook"}
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}/webhook", body, headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    taken = answer.status == 200
            except OSError:
                taken = False
            with self.lock:
                self.ended["webhook", "acknowledged" if taken else "not answered"] += 1
                if taken:
                    self.masks.add(("walk", frame, mask_digest(mask)))
            time.sleep(0.5)

    def command(self) -> None:
        """Run commands, one after the other."""
        while time.monotonic() < self.end:
            number, frame = self.number(), self.random.choice(FRAMES)
            kind = self.random.choice(["correct", "correct", "check", "import", "add", "export"])
            name = f"n{number}"
            if kind in ("correct", "check"):
                file, mask = self.folder / f"{name}.png", self.mask(number)
                file.write_bytes(encode_mask(mask))
                rest = ["--model", "copy"] if kind == "correct" else []
                if self.run(kind, "walk", str(frame), str(file), "--by", name, *rest):
                    self.acknowledge({("walk", frame, mask_digest(mask))})
            elif kind == "import":
                if self.run("import", str(self.dataset), "--prefix", name):
                    digests = {f: mask_digest(made_mask(f, SIZE_OF_IMPORTS)) for f in (0, 5, 10)}
                    both = [f"{name}{clip}" for clip in ("hike", "lucia")]
                    self.acknowledge({(c, f, d) for c in both for f, d in digests.items()})
            elif kind == "add":
                part = self.folder / f"{name}.mp4"  # another video: the same one would be skipped
                write_video(part, 24 + number % 40, rate=24 + number % 7)
                if self.run("add", str(part), "--name", name, "--scenario", "news"):
                    self.clips.add(name)
            else:
                self.run("export", str(self.folder / "export"), "--include-unreviewed")

    def acknowledge(self, masks: set[tuple[str, int, str]]) -> None:
        """Note masks by clip, frame and digest."""
        with self.lock:
            self.masks |= masks

    def torture(self, seconds: float) -> None:
        """Do all of it at once for so many seconds."""
        self.end = time.monotonic() + seconds
        lanes = [
            threading.Thread(target=self.keep_killing, args=("serve", "--port", str(self.port))),
            threading.Thread(target=self.keep_killing, args=("worker", "--model", "copy")),
            threading.Thread(target=self.submit),
            threading.Thread(target=self.command),
            threading.Thread(target=self.command),
        ]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()

    def recover(self, patience: float) -> dict[EventState, int]:
        """Let a worker take what waits, and return the counts of submissions by state."""
        workspace = Workspace(self.root)
        inbox, until = Inbox(workspace.database), time.monotonic() + patience
        with self.start("worker", "--model", "copy") as worker:
            while inbox.counted().get(EventState.PENDING) and time.monotonic() < until:
                time.sleep(0.5)
            kill(worker)
        counted = inbox.counted()
        workspace.close()
        return counted

    def lost(self) -> list[str]:
        """Return what was acknowledged and is not there, or is not what it was."""
        workspace = Workspace(self.root)
        there, wrong = set(), []
        for clip in workspace.clips():
            for revision in workspace.revisions(clip):
                if mask_digest(workspace.read(revision)) != revision.digest:
                    wrong.append(f"changed: {workspace.mask_path(revision)}")
                if revision.author:
                    there.add((clip.name, revision.frame, revision.digest))
        names = {clip.name for clip in workspace.clips()}
        workspace.close()
        return [
            *wrong,
            *(f"lost mask: {clip} {frame} {digest}" for clip, frame, digest in self.masks - there),
            *(f"lost clip: {name}" for name in self.clips - names),
        ]


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children, if it is still there."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    """Run a campaign and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), options.seed)
        campaign.torture(options.seconds)
        states = campaign.recover(patience=60)
        lost = campaign.lost()
        for (name, how), count in sorted(campaign.ended.items()):
            print(f"{name} {how}: {count}")
        for name, said in campaign.said.items():
            print(f"last refusal of {name}: {said}")
        print("submissions:", ", ".join(f"{state} {count}" for state, count in states.items()))
        kills = sum(n for (_, how), n in campaign.ended.items() if how == "killed")
        print(
            f"{kills} kills, {len(campaign.masks)} masks acknowledged, {len(lost)} lost or changed"
        )
        print(*lost, sep="\n")
    sys.exit(bool(lost) or not kills or not campaign.masks)


if __name__ == "__main__":
    main()
