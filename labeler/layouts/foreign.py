"""Foreign datasets: what a dataset of any layout holds, before it is imported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from labeler.layouts.clips_table import ClipRow, has_clips_table, read_clips
from labeler.layouts.layout import Layout
from labeler.mask import Mask


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

    `rows` is the content of its clips.csv, if it has one. `notes` are sentences on the content that
    is not a clip of people.
    """

    folder: Path
    layout: Layout
    clips: Mapping[str, Callable[[], ForeignClip]]
    rows: Mapping[str, ClipRow]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the dataset: that of its folder."""
        return self.folder.resolve().name


def rows_of(folder: Path) -> dict[str, ClipRow]:
    """Read each clip's row from a dataset's clips.csv; return none if it has none of this layout.

    Raises:
        LabelerError: a line of it is damaged.
    """
    if not has_clips_table(folder):
        return {}
    return {row.name: row for row in read_clips(folder / "clips.csv")}
