"""The files of a clip's folder, by the numbers in their names."""

import re
from collections.abc import Collection
from pathlib import Path

from labeler.errors import LabelerError

PICTURES = frozenset({".jpg", ".jpeg", ".png"})
MASKS = frozenset({".png"})

_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL)


def frames_in(folder: Path, suffixes: Collection[str]) -> dict[int, Path]:
    """List the files of a clip's folder by number, in order of number.

    The names are numbers of any length, such as `00000`, or one text with a number behind it, such
    as `frame_12`. A suffix counts in any case.

    Raises:
        LabelerError: a file with such a suffix has no number or another text before it, or a frame
            has two files.
    """
    found: dict[int, Path] = {}
    texts: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        parts = _NUMBERED.fullmatch(path.stem)
        if parts is None:
            raise LabelerError(
                f"{path} is not named like a frame, such as 00000{path.suffix}, so its place is "
                "unknown; rename it, or move it elsewhere."
            )
        texts.setdefault(parts[1], path)
        if len(texts) > 1:
            first, other = texts.values()
            raise LabelerError(
                f"{first} and {other.name} are not named alike, so their order is unknown; rename "
                "them, or move one elsewhere."
            )
        number = int(parts[2])
        if (known := found.setdefault(number, path)) != path:
            raise LabelerError(f"{path} and {known.name} are one frame; move one elsewhere.")
    return dict(sorted(found.items()))


def natural_order(name: str) -> tuple[tuple[str, int], ...]:
    """Return a key that sorts names by the numbers in them: a2 before a10.

    >>> sorted(["a10", "a2", "a"], key=natural_order)
    ['a', 'a2', 'a10']
    """
    pieces = re.split(r"([0-9]+)", name)
    return tuple(
        (text, int(number) if number else -1)
        for text, number in zip(pieces[::2], [*pieces[1::2], ""], strict=True)
    )
