"""What each file of a dataset was made of, so that it need not be made again."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import PIL

from labeler.clip import JPEG_QUALITY
from labeler.files import sha256_of

RECIPE = f"1 jpeg={JPEG_QUALITY} opencv={cv2.__version__} pillow={PIL.__version__}"
"""How files are made. Files of another recipe are made again, so that the bytes of a dataset never
depend on what was there before; count up its first number with every change of any such bytes."""


@dataclass(frozen=True, slots=True)
class Made:
    """One file that was made.

    `source` names what it was made of, and is another name whenever that is something else.
    `sha256` is the digest of the file, and `state` tells how it looked to the file system when it
    was known to be right; "" where that was not asked.
    """

    source: str
    sha256: str
    state: str = ""


class Ledger:
    """The files of a folder that are known to have been made, by their path in it."""

    def __init__(self, lines: Mapping[str, str] | None = None) -> None:
        """Know of files by what `line` begins with; kept as text, for there may be many."""
        self._lines = dict(lines or {})

    def __len__(self) -> int:
        return len(self._lines)

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """Read what `write_ledger` or `line` wrote.

        Nothing is known where the file is absent or of another recipe. A line that is not whole, as
        a kill may leave it, counts as not written.
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
        """What the file was made of; None if that is not known."""
        if name not in self._lines:
            return None
        sha256, source, state = self._lines[name].split("\t")
        return Made(source, sha256, state)

    def still(self, folder: Path, name: str, source: str) -> str | None:
        """The SHA-256 of a file if it is just what would be made of `source`; None if not.

        A file that looks to the file system as it did (size, times of content and of inode,
        inode) is taken for unchanged; any other one is read.
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
        """Whether the file, as it once was, was made of `source`."""
        made = self.of(name)
        return made is not None and made.source == source


def line(name: str, made: Made) -> str:
    """A file's line in a ledger; the first line is the recipe."""
    return f"{made.sha256}\t{made.source}\t{made.state}\t{name}\n"


def write_ledger(path: Path, folder: Path, made: Mapping[str, Made]) -> None:
    """Write down what the files of a folder were made of, and how they look at this moment.

    Not whole or not at all, as a half one does no harm.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write(f"{RECIPE}\n")
        for name, each in sorted(made.items()):
            file.write(line(name, Made(each.source, each.sha256, state_of(folder / name))))


def state_of(path: Path) -> str:
    """How a file looks to the file system: another text whenever its content was written to.

    The time of the inode, which no program can set, also tells of a file that was changed and
    given its old time again.
    """
    stat = os.stat(path)
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
