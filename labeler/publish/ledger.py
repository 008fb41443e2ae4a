"""The ledger: records what each file of a dataset was made from, so that it can be reused."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import PIL

from labeler.clip import JPEG_QUALITY
from labeler.files import sha256_of

RECIPE = f"1 jpeg={JPEG_QUALITY} opencv={cv2.__version__} pillow={PIL.__version__}"
"""The recipe by which files are made. Files of another recipe are made again, so that the bytes of
a dataset never depend on earlier exports. Increase the first number with every change of the bytes
of a file."""


@dataclass(frozen=True, slots=True)
class Made:
    """The record of one file that was made.

    `source` identifies what the file was made from; it differs whenever that differs. `sha256` is
    the digest of the file. `state` is its state in the file system (see `state_of`) when it was
    known to be right, "" if that was not recorded.
    """

    source: str
    sha256: str
    state: str = ""


class Ledger:
    """The records of the files of a folder, by each file's path in the folder."""

    def __init__(self, lines: Mapping[str, str] | None = None) -> None:
        """Take records as the text before the name in a `line`; text, because there may be many."""
        self._lines = dict(lines or {})

    def __len__(self) -> int:
        return len(self._lines)

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """Read what `write_ledger` or `line` wrote.

        The ledger is empty if the file is missing or has another recipe. An incomplete line, which
        a kill may leave, is ignored.
        """
        lines = {}
        try:
            with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
                if file.readline() != f"{RECIPE}\n":
                    return cls()
                for line in file:
                    made, _, name = line.rpartition("\t")
                    if made.count("\t") == 2 and name.endswith("\n"):
                        lines[name[:-1]] = made
        except OSError:
            return cls()
        return cls(lines)

    def of(self, name: str) -> Made | None:
        """Return the record of the file, or None if there is none."""
        if name not in self._lines:
            return None
        sha256, source, state = self._lines[name].split("\t")
        return Made(source, sha256, state)

    def still(self, folder: Path, name: str, source: str) -> str | None:
        """Return the SHA-256 of a file if it is exactly what `source` gives, or else None.

        A file whose state in the file system is the same (size, times of content and of inode,
        inode) is taken for unchanged; any other file is read.
        """
        made = self.of(name)
        if made is None or made.source != source:
            return None
        try:
            if (folder / name).is_symlink():
                return None
            if state_of(folder / name) == made.state or sha256_of(folder / name) == made.sha256:
                return made.sha256
        except OSError:
            pass
        return None

    def was_made_of(self, name: str, source: str) -> bool:
        """Tell whether the file was made from `source`, even if it has changed since."""
        made = self.of(name)
        return made is not None and made.source == source


def line(name: str, made: Made) -> str:
    """Format a file's line in a ledger, whose first line is the recipe."""
    return f"{made.sha256}\t{made.source}\t{made.state}\t{name}\n"


def write_ledger(path: Path, folder: Path, made: Mapping[str, Made]) -> None:
    """Record what the files of a folder were made from, and their state at this moment.

    The ledger is not written atomically, because an incomplete one does no harm.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write(f"{RECIPE}\n")
        for name, each in sorted(made.items()):
            file.write(line(name, Made(each.source, each.sha256, state_of(folder / name))))


def state_of(path: Path) -> str:
    """Return a file's state in the file system, a text that differs after each write to the file.

    The time of the inode, which no program can set, also reveals a file that was changed and then
    given its old time.
    """
    stat = os.stat(path)
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
