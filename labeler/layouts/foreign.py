"""Foreign datasets: what a dataset of any layout holds, before it is imported."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labeler.errors import LabelerError
from labeler.layouts.clips_table import ClipRow, has_clips_table, read_clips
from labeler.layouts.layout import Layout
from labeler.mask import Mask
from labeler.text.naming import distinct_names, is_clip_name


@dataclass(frozen=True)
class LeftOut:
    """Something of a dataset that is not imported: its name there, and the reason as a clause.

    `lost` is False for what is left out by choice, such as pictures that show nobody.
    """

    name: str
    reason: str
    lost: bool = True


@dataclass(frozen=True)
class ForeignMask:
    """A mask as a dataset has it, H x W bool.

    `void` says whether the dataset left some pixels undecided; here they are background. `missing`
    says which people in the picture are not outlined, "" if all are; a mask that lacks people is
    not imported.
    """

    mask: Mask
    void: bool = False
    missing: str = ""


@dataclass(frozen=True)
class ForeignClip:
    """A clip's pictures, and functions that read its masks, each by its number in the dataset.

    Both are in order of number. The functions raise LabelerError only.
    """

    pictures: Mapping[int, Path]
    masks: Mapping[int, Callable[[], ForeignMask]]


@dataclass(frozen=True)
class ForeignDataset:
    """A dataset's clips by name, each listed on demand, so that a damaged clip affects no other.

    `rows` is the content of its clips.csv, if it has one. `notes` are sentences on how the dataset
    is understood. `left_out` is everything in it that is no clip to import. `titles` are the clips'
    own names, where they cannot name a clip here. `lists` says which clips are for "train" and for
    "test"; "" is said of neither.
    """

    folder: Path
    layout: Layout
    clips: Mapping[str, Callable[[], ForeignClip]]
    rows: Mapping[str, ClipRow]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the dataset: that of its folder."""
        return readable(self.folder.resolve().name)


def readable(text: str) -> str:
    """Return a text that can be stored and shown: bytes that are no UTF-8 are written out."""
    return text.encode(errors="backslashreplace").decode()


def names_of(titles: Sequence[str]) -> list[str]:
    """Make a clip name of each title, in order; those that can name a clip stay as they are.

    >>> names_of(["walk", "张三", "b/run-"])
    ['walk', 'ZhangSan', 'run-']
    """
    last = [title.rpartition("/")[2] for title in titles]
    times = Counter(last)
    kept = {name for name, count in times.items() if count == 1 and is_clip_name(name)}
    others = [title for title, name in zip(titles, last, strict=True) if name not in kept]
    made = iter(distinct_names(others, kept))
    return [name if name in kept else next(made) for name in last]


LISTS = {"train": "train", "val": "test", "valid": "test", "validation": "test", "test": "test"}
"""Which of our lists the clips of another dataset's list belong to."""


def list_of(name: str) -> str:
    """Return our list for a list of another dataset, such as val2017; "" if it is none of them."""
    return LISTS.get(re.sub(r"[-_]?[0-9]*$", "", name.lower()), "")


def has_category(there: Collection[str], wanted: Collection[str]) -> bool:
    """Tell whether a dataset has any of the wanted categories, written in any case."""
    folded = {name.strip().casefold() for name in there}
    return any(name.strip().casefold() in folded for name in wanted)


def no_category(folder: Path, wanted: Collection[str], there: Collection[str]) -> LabelerError:
    """Make the error for a dataset without the wanted categories; it names those that there are."""
    known = ", ".join(sorted(there)[:20]) or "none"
    return LabelerError(
        f"{folder} has no category {' or '.join(sorted(wanted))!r}; it has: {known}. Name those of "
        "people with --category."
    )


def rows_of(folder: Path) -> dict[str, ClipRow]:
    """Read each clip's row from a dataset's clips.csv; return none if it has none of this layout.

    Raises:
        LabelerError: a line of it is damaged.
    """
    if not has_clips_table(folder):
        return {}
    return {row.name: row for row in read_clips(folder / "clips.csv")}
