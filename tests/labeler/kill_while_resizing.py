"""Make the 480p copy of a dataset and be killed with SIGKILL once so many files are made.

Run as a script: `python -m tests.labeler.kill_while_resizing DATASET STEP`. It prints each file
before it makes it.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from labeler.publish import resize


def noted(shrunk: Callable[[Path], bytes], made: list[str]) -> Callable[[Path], bytes]:
    """A `shrunk_picture` or `shrunk_mask` that also notes what it is called for."""

    def noting(source: Path) -> bytes:
        made.append(f"{source.parents[2].name}/{source.parent.name}/{source.name}")
        return shrunk(source)

    return noting


class Printed(list[str]):
    """A list that prints what is appended, at once."""

    def append(self, item: str) -> None:
        os.write(1, f"{item}\n".encode())


def main(dataset: Path, step: int) -> None:
    def die(done: int, total: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("shrunk_picture", "shrunk_mask"):
        setattr(resize, name, noted(getattr(resize, name), Printed()))
    resize.resize_dataset(dataset, die)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
