"""Functions that the writers of other layouts share; each writer converts a finished dataset."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from labeler.errors import LabelerError
from labeler.layouts.clips_table import has_clips_table
from labeler.layouts.mvps import Dataset
from labeler.threads import call_all

SPLITS = {"train": "train", "val": "test"}
"""The names of the lists in other layouts, and MVPS's own names for them."""

Progress = Callable[[int, int], None]
"""Called with (files written, files to write)."""


def clips_by_split(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Return the clips to train on ("train") and to test on ("val"), each sorted by name.

    Raises:
        LabelerError: it is not a finished dataset in the MVPS layout: clips.csv or a list is
            missing, or a clip is not in exactly one list.
    """
    if not has_clips_table(dataset.folder):
        raise LabelerError(
            f"{dataset.folder} has no clips.csv of the MVPS layout; import it, then export it."
        )
    lists = {name: tuple(sorted(dataset.split(own))) for name, own in SPLITS.items()}
    listed = [clip for clips in lists.values() for clip in clips]
    names = sorted(row.name for row in dataset.clips)
    if sorted(listed) != names:
        wrong = sorted({*listed} ^ {*names}) or [c for c in names if listed.count(c) > 1]
        raise LabelerError(
            f"{wrong[0]} is not in exactly one list of {dataset.folder}/ImageSets; "
            "run `mvps validate` to see what else is wrong."
        )
    return lists


def files(dataset: Dataset, clip: str, resolution: str) -> tuple[dict[int, Path], dict[int, Path]]:
    """List a clip's pictures, and those of them that have a mask, by index.

    Raises:
        LabelerError: a mask has no picture.
    """
    pictures, masks = dataset.pictures(clip, resolution), dataset.masks(clip, resolution)
    if lone := [path for index, path in masks.items() if index not in pictures]:
        raise LabelerError(f"{lone[0]} is a mask without a picture; run `mvps validate`.")
    return pictures, {index: pictures[index] for index in masks}


def copies(pictures: Mapping[int, Path], folder: Path) -> Iterator[Callable[[], object]]:
    """Make a folder, and yield jobs that copy pictures into it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in pictures.values():
        yield partial(shutil.copyfile, path, folder / path.name)


def work(jobs: Iterable[Callable[[], object]], progress: Progress | None) -> None:
    """Run jobs on a few threads, and report how many are done."""
    todo = list(jobs)
    for done, _ in enumerate(call_all(todo), start=1):
        if progress is not None:
            progress(done, len(todo))
