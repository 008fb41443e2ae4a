"""A dataset in the layout of YouTube-VOS."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from labeler.clip import frame_name
from labeler.convert import Progress, clips_by_split, copies, files, work
from labeler.layout import youtube_whole_clips
from labeler.mask import encode_mask
from labeler.mvps import Dataset
from labeler.swap import replacing

FOLDERS = {"train": "train", "val": "valid"}
NAMES = frozenset(
    {*FOLDERS.values(), *(f"{name}_all_frames" for name in FOLDERS.values()), "clips.csv"}
)
"""Everything `to_youtube_vos` writes into its folder."""

_Frames = dict[str, list[str]]
"""By clip, the frames that show somebody."""


def to_youtube_vos(dataset: Dataset, target: Path, progress: Progress | None = None) -> None:
    """Write the largest pictures of a finished MVPS dataset in the layout of YouTube-VOS.

    Everybody in a clip is its object 1, of the category person. `train` and `valid` hold the
    pictures that have a mask, `train_all_frames` and `valid_all_frames` the whole of clips with
    others between. Unlike YouTube-VOS's own, `valid` has every mask and not the first alone.

    Args:
        dataset: a finished MVPS dataset.
        target: a folder to be replaced as a whole; see `refuse_foreign`.
        progress: called with (files written, files to write).

    Raises:
        LabelerError: the dataset is not finished or damaged, or nothing can be written.
    """
    lists = clips_by_split(dataset)
    with replacing(target) as folder:
        shown: dict[str, _Frames] = {name: {} for name in lists}
        work(_jobs(dataset, folder, lists, shown), progress)
        for name, frames in shown.items():
            videos = {
                clip: {"objects": {"1": {"category": "person", "frames": sorted(numbers)}}}
                for clip, numbers in sorted(frames.items())
            }
            path = folder / FOLDERS[name] / "meta.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"videos": videos}, indent=1) + "\n")
        shutil.copyfile(dataset.folder / "clips.csv", folder / "clips.csv")


def _jobs(
    dataset: Dataset,
    folder: Path,
    lists: dict[str, tuple[str, ...]],
    shown: dict[str, _Frames],
) -> Iterator[Callable[[], object]]:
    [resolution, *_] = dataset.resolutions
    for name, clips in lists.items():
        split = folder / FOLDERS[name]
        for tree in ("JPEGImages", "Annotations"):
            (split / tree).mkdir(parents=True)
        for clip in clips:
            pictures, masked = files(dataset, clip, resolution)
            yield from copies(masked, split / "JPEGImages" / clip)
            if len(masked) < len(pictures):
                yield from copies(pictures, youtube_whole_clips(split) / clip)
            masks = split / "Annotations" / clip
            masks.mkdir()
            frames = shown[name][clip] = []
            for number in masked:
                yield partial(_write_mask, dataset, clip, number, masks, frames)


def _write_mask(dataset: Dataset, clip: str, number: int, folder: Path, frames: list[str]) -> None:
    mask = dataset.mask(clip, number)
    (folder / f"{frame_name(number)}.png").write_bytes(encode_mask(mask))
    if mask.any():
        frames.append(frame_name(number))  # from several threads at once, so in any order
