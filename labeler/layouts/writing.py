"""What the writers of other layouts share: a finished MVPS dataset is read, another is written."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from labeler.errors import LabelerError
from labeler.layouts.clips_table import has_clips_table
from labeler.layouts.mvps import Dataset, mask_tree, numbered_files, picture_tree
from labeler.threads import call_all

SPLITS = {"train": "train", "val": "test"}
"""What others call a list, and MVPS's own name for it."""

Progress = Callable[[int, int], None]
"""Called with (files written, files to write)."""


def clips_by_split(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """The clips to train on and to test on: "train" and "val", each by name.

    Raises:
        LabelerError: it is no finished dataset in the MVPS layout: without its clips.csv or its
            lists, or with a clip that is not in one of them.
    """
    if not has_clips_table(dataset.folder):
        raise LabelerError(
            f"{dataset.folder} has no clips.csv of the MVPS layout; `mvps import` it and export it."
        )
    lists = {name: tuple(sorted(dataset.split(own))) for name, own in SPLITS.items()}
    listed = [clip for clips in lists.values() for clip in clips]
    names = sorted(row.name for row in dataset.clips)
    if sorted(listed) != names:
        wrong = sorted({*listed} ^ {*names}) or [c for c in names if listed.count(c) > 1]
        raise LabelerError(
            f"{wrong[0]} is not in one of the lists of {dataset.folder}/ImageSets, or in both; "
            "run `mvps validate` to see what else is wrong."
        )
    return lists


def files(dataset: Dataset, clip: str, resolution: str) -> tuple[dict[int, Path], dict[int, Path]]:
    """A clip's pictures, and those of them that have a mask, by number.

    Raises:
        LabelerError: a mask has no picture.
    """
    pictures = numbered_files(picture_tree(dataset.folder, resolution) / clip, ".jpg")
    masks = numbered_files(mask_tree(dataset.folder, resolution) / clip, ".png")
    if lone := [path for number, path in masks.items() if number not in pictures]:
        raise LabelerError(f"{lone[0]} is the mask of no picture; run `mvps validate`.")
    return pictures, {number: pictures[number] for number in masks}


def copies(pictures: Mapping[int, Path], folder: Path) -> Iterator[Callable[[], object]]:
    """The jobs that copy pictures into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in pictures.values():
        yield partial(shutil.copyfile, path, folder / path.name)


def work(jobs: Iterable[Callable[[], object]], progress: Progress | None) -> None:
    """Do jobs on a few threads and tell how far they are."""
    todo = list(jobs)
    for done, _ in enumerate(call_all(todo), start=1):
        if progress is not None:
            progress(done, len(todo))
