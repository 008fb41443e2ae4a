"""Names of clips: what may be one, and how titles in any script become names of their own."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from anyascii import anyascii

from labeler.errors import LabelerError

_LONGEST = 100
_LONGEST_MADE = 80  # leaves room for a prefix, and for the number of a shot


def check_clip_name(name: str) -> str:
    """Return `name` if it is safe as a folder name and as a line of ImageSets, else refuse it.

    Raises:
        LabelerError: the name is not 1 to 100 letters, digits, `.`, `_` or `-`, or starts with
            anything but a letter or a digit.
    """
    if not is_clip_name(name):
        raise LabelerError(
            f"{name!r} cannot name a clip: use up to {_LONGEST} letters, digits, '.', '_' and "
            "'-', starting with a letter or a digit."
        )
    return name


def is_clip_name(name: str) -> bool:
    """Tell whether `check_clip_name` lets a name pass."""
    return re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{_LONGEST - 1}}}", name) is not None


def title_of(path: Path) -> str:
    """Return a file's name without its suffix, as text that can be stored and shown."""
    return readable(path.stem)


def readable(name: str) -> str:
    """Return the name of a file as text that can be stored and shown.

    Its bytes are UTF-8, also where the locale says otherwise, or else Latin-1, which old cameras
    and archives wrote.
    """
    try:
        data = name.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a character, which came out of no file system
        return name.encode(errors="replace").decode()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def clip_name(title: str) -> str:
    """Make a clip name from a title in any script: in Latin letters, with `_` for what is unsafe.

    Two titles may give one name; `distinct_names` gives each its own.

    >>> clip_name("My holiday (1)"), clip_name("张三"), clip_name("Иван"), clip_name("café")
    ('My_holiday_1', 'ZhangSan', 'Ivan', 'cafe')
    """
    return _safe(title)[:_LONGEST_MADE].rstrip("._-") or "clip"


def distinct_names(titles: Sequence[str], taken: Collection[str] = ()) -> list[str]:
    """Make a clip name for each title, in order; no two are alike, not even in another case.

    The part of a title behind its last `/` is the name. Where titles of several folders would
    have one name, the folders come before it; what is alike after that gets a number.

    >>> distinct_names(["a/walk", "a/run", "b/walk"])
    ['a_walk', 'run', 'b_walk']
    >>> distinct_names(["张三", "章三", "李四"], taken=["LiSi"])
    ['ZhangSan', 'ZhangSan_2', 'LiSi_2']

    Args:
        titles: any text, such as paths without suffixes; the same title may be there twice.
        taken: names that none may get.
    """
    names = [clip_name(title.rpartition("/")[2]) for title in titles]
    folders: dict[str, set[str]] = {}
    for name, title in zip(names, titles, strict=True):
        folders.setdefault(name.lower(), set()).add(str(PurePosixPath(title).parent))
    names = [
        _path_name(title) if len(folders[name.lower()]) > 1 else name
        for name, title in zip(names, titles, strict=True)
    ]
    used = {name.lower() for name in taken}
    times = Counter(name.lower() for name in names)
    # A name that only one title has stays as it is, whatever numbers the others get.
    own = {name for name, count in times.items() if count == 1} - used
    used |= own
    return [name if name.lower() in own else _numbered(name, used) for name in names]


def _safe(text: str) -> str:
    latin = re.sub(r"[`'\"]", "", anyascii(text))  # letters of some scripts, not punctuation
    return re.sub(r"[^A-Za-z0-9._-]+", "_", latin).strip("._-")


def _path_name(title: str) -> str:
    """Make a name from a whole title; of a long one the end stays, which tells most."""
    return _safe(title.replace("/", "_"))[-_LONGEST_MADE:].strip("._-") or "clip"


def _numbered(name: str, used: set[str]) -> str:
    """Return the name, or if it is used the first `name_2`, `name_3`, ... that is not; use it."""
    number, made = 1, name
    while made.lower() in used:
        number += 1
        made = f"{name}_{number}"
    used.add(made.lower())
    return made
