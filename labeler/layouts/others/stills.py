"""What the readers of masked pictures share: each picture is a clip of one frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labeler.errors import LabelerError
from labeler.layouts.foreign import (
    ForeignClip,
    ForeignDataset,
    ForeignMask,
    LeftOut,
    list_of,
    names_of,
    rows_of,
)
from labeler.layouts.frame_files import PICTURES
from labeler.layouts.layout import Layout
from labeler.layouts.mvps import picture_size


@dataclass(frozen=True)
class MaskedPicture:
    """A picture with a function that reads its mask; `split` is the dataset's list that has it.

    The function gets the (width, height) of the picture and raises LabelerError only.
    """

    title: str
    path: Path
    read: Callable[[tuple[int, int]], ForeignMask]
    split: str = ""


def dataset_of(
    folder: Path,
    layout: Layout,
    pictures: Sequence[MaskedPicture],
    left_out: Sequence[LeftOut],
    notes: Sequence[str] = (),
) -> ForeignDataset:
    """Make a dataset of pictures, each of them a clip of one frame."""
    names = names_of([each.title for each in pictures])
    both = list(zip(names, pictures, strict=True))
    return ForeignDataset(
        folder,
        layout,
        {name: partial(_clip, each) for name, each in both},
        rows_of(folder) if folder.is_dir() else {},
        tuple(notes),
        tuple(left_out),
        {name: each.title for name, each in both},
        {name: list_of(each.split) for name, each in both},
    )


def pictures_below(folder: Path) -> dict[str, list[Path]]:
    """List the pictures of a folder and of those in it, by their path without the suffix."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file():
            key = path.relative_to(folder).with_suffix("").as_posix()
            found.setdefault(key, []).append(path)
    return found


def _clip(picture: MaskedPicture) -> ForeignClip:
    if not picture.path.is_file():
        raise LabelerError(f"{picture.path} is missing; bring it back from a copy.")
    return ForeignClip({0: picture.path}, {0: partial(_read, picture)})


def _read(picture: MaskedPicture) -> ForeignMask:
    return picture.read(picture_size(picture.path))
