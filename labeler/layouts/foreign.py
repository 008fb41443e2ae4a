"""What is found in somebody's dataset, before any of it is taken into a workspace."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from labeler.clip import frame_name
from labeler.errors import LabelerError
from labeler.layouts.clips_table import ClipRow, has_clips_table, read_clips
from labeler.layouts.layout import Layout
from labeler.mask import Mask

PICTURES = frozenset({".jpg", ".jpeg", ".png"})
MASKS = frozenset({".png"})


@dataclass(frozen=True)
class ForeignMask:
    """A mask as a dataset has it, H x W bool.

    `void` is whether pixels were left undecided there, which are background here. `missing` says
    who is not outlined though in the picture, "" where nobody is: such a mask is no portrait mask.
    """

    mask: Mask
    void: bool = False
    missing: str = ""


@dataclass(frozen=True)
class ForeignClip:
    """A clip's pictures, and how its masks are read, each by the number the dataset gives.

    Both are in order of number. Whatever a reader raises is a LabelerError.
    """

    pictures: Mapping[int, Path]
    masks: Mapping[int, Callable[[], ForeignMask]]


@dataclass(frozen=True)
class ForeignDataset:
    """A dataset's clips by name, each listed when asked for, so that a damaged one is but one.

    `rows` is what its clips.csv says, where it has one. `notes` are sentences on what it holds
    that is no clip of people.
    """

    folder: Path
    layout: Layout
    clips: Mapping[str, Callable[[], ForeignClip]]
    rows: Mapping[str, ClipRow]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call it: its folder's name."""
        return self.folder.resolve().name


def rows_of(folder: Path) -> dict[str, ClipRow]:
    """What a dataset's clips.csv says of each clip; nothing where there is none of ours.

    Raises:
        LabelerError: a line of it is damaged.
    """
    if not has_clips_table(folder):
        return {}
    return {row.name: row for row in read_clips(folder / "clips.csv")}


def frames_in(folder: Path, suffixes: Collection[str]) -> dict[int, Path]:
    """The files of a clip's folder that are named `00000`, `00001`, ..., by number, in order.

    Raises:
        LabelerError: such a file has another name, or a frame has two.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if not path.stem.isdecimal() or path.stem != frame_name(int(path.stem)):
            raise LabelerError(
                f"{path} is not named like a frame, 00000{path.suffix} say, so nobody knows its "
                "place; rename it, or move it elsewhere."
            )
        if (first := found.setdefault(int(path.stem), path)) != path:
            raise LabelerError(f"{path} and {first.name} are one frame; move one elsewhere.")
    return dict(sorted(found.items()))
