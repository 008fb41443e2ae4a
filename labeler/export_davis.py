"""A dataset in the layout of DAVIS, as its own tools read it."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from labeler.clip import frame_name
from labeler.convert import Progress, clips_by_split, copies, files, work
from labeler.layout import davis_whole_clips
from labeler.mask import encode_mask
from labeler.mvps import Dataset, mask_tree, picture_tree
from labeler.swap import replacing

NAMES = frozenset({"JPEGImages", "JPEGImages_all_frames", "Annotations", "ImageSets", "clips.csv"})
"""Everything `to_davis` writes into its folder."""


def to_davis(dataset: Dataset, target: Path, progress: Progress | None = None) -> None:
    """Write a finished MVPS dataset in the layout of DAVIS 2017, and of 2016 with it.

    Its tools (davis2017-evaluation) take each picture to have a mask, so `JPEGImages` holds the
    pictures that do, under their own numbers, and `JPEGImages_all_frames` the whole of clips with
    others between. Masks are palette PNGs of 0 and 1: 255, as in 2016, is void to those tools.
    The test clips are the list `val`.

    Args:
        dataset: a finished MVPS dataset.
        target: a folder to be replaced as a whole; see `refuse_foreign`.
        progress: called with (files written, files to write).

    Raises:
        LabelerError: the dataset is not finished or damaged, or nothing can be written.
    """
    lists = clips_by_split(dataset)
    with replacing(target) as folder:
        work(_jobs(dataset, folder), progress)
        for year in ("2016", "2017"):
            (folder / "ImageSets" / year).mkdir(parents=True)
            for name, clips in lists.items():
                path = folder / "ImageSets" / year / f"{name}.txt"
                path.write_text("".join(f"{clip}\n" for clip in clips))
        shutil.copyfile(dataset.folder / "clips.csv", folder / "clips.csv")


def _jobs(dataset: Dataset, folder: Path) -> Iterator[Callable[[], object]]:
    for resolution in dataset.resolutions:
        for clip in (row.name for row in dataset.clips):
            pictures, masked = files(dataset, clip, resolution)
            yield from copies(masked, picture_tree(folder, resolution) / clip)
            if len(masked) < len(pictures):
                yield from copies(pictures, davis_whole_clips(folder, resolution) / clip)
            masks = mask_tree(folder, resolution) / clip
            masks.mkdir(parents=True)
            for number in masked:
                path = masks / f"{frame_name(number)}.png"
                yield partial(_write_mask, dataset, clip, number, resolution, path)


def _write_mask(dataset: Dataset, clip: str, number: int, resolution: str, path: Path) -> None:
    path.write_bytes(encode_mask(dataset.mask(clip, number, resolution)))
