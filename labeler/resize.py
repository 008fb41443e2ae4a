"""The 480p copy of a dataset: sizes, pictures and masks."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from labeler.clip import Image, encode_jpeg, read_image
from labeler.errors import LabelerError
from labeler.mask import Mask, encode_mask, read_mask
from labeler.mvps import (
    FULL,
    SMALL,
    clip_folders,
    mask_tree,
    numbered_files,
    picture_size,
    picture_tree,
)
from labeler.swap import replacing
from labeler.threads import call_all

SHORT_SIDE = 480
"""The shorter side of a 480p picture, in pixels."""


def size_480p(width: int, height: int) -> tuple[int, int]:
    """Give the (width, height) at 480p of a picture, in pixels: both even.

    The shorter side becomes 480, upright or lying, and the longer one the nearest even number
    that keeps the aspect. 480p is only ever smaller: a picture whose shorter side is 480 or less
    keeps its size, but for one row or column where a side is odd.

    >>> size_480p(1920, 1080), size_480p(1080, 1920), size_480p(321, 240)
    ((854, 480), (480, 854), (320, 240))
    """
    short = min(width, height)
    if short <= SHORT_SIDE:
        return max(2, width - width % 2), max(2, height - height % 2)
    # Whole numbers throughout: a float could round a half one way here and another way there.
    return (
        2 * ((width * SHORT_SIDE + short) // (2 * short)),
        2 * ((height * SHORT_SIDE + short) // (2 * short)),
    )


def resize_image(image: Image, size: tuple[int, int]) -> Image:
    """Resize a picture, H x W x 3 uint8, to (width, height): each pixel the mean of its area."""
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize a mask, H x W bool, to (width, height): each pixel that of the nearest one."""
    pixels = cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.not_equal(pixels, 0)


def resize_dataset(folder: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Make the 480p pictures and masks of a dataset from its full resolution, anew.

    A picture that has its 480p size already is copied as it is. The old 480p trees are replaced
    only once the new ones are whole.

    Args:
        folder: a dataset in the MVPS layout; its masks have two values.
        progress: called with (files made, files to make).

    Returns:
        The number of pictures and masks made.

    Raises:
        LabelerError: there is no full resolution, a file is unreadable, or nothing can be written.
    """
    trees = ((picture_tree(folder, FULL), ".jpg"), (mask_tree(folder, FULL), ".png"))
    for tree, _ in trees:
        if not tree.is_dir():
            raise LabelerError(
                f"{tree} is missing and 480p is made from it; give the folder that holds it."
            )
    done = 0
    total = sum(1 for tree, suffix in trees for _ in _files(tree, suffix))
    with (
        replacing(picture_tree(folder, SMALL)) as new_pictures,
        replacing(mask_tree(folder, SMALL)) as new_masks,
    ):
        jobs = chain(
            _jobs(shrink_picture, _files(*trees[0]), new_pictures),
            _jobs(shrink_mask, _files(*trees[1]), new_masks),
        )
        for done, _ in enumerate(call_all(jobs), start=1):
            if progress is not None:
                progress(done, total)
    return done


def shrink_picture(source: Path, target: Path) -> None:
    """Write the 480p copy of a picture; its very bytes where it has that size already."""
    full = picture_size(source)
    size = size_480p(*full)
    if size == full:
        shutil.copyfile(source, target)
        return
    image = resize_image(read_image(source), size)
    target.write_bytes(encode_jpeg(image))


def shrink_mask(source: Path, target: Path) -> None:
    """Write the 480p copy of a mask; its bytes depend on the pixels alone."""
    mask = read_mask(source)
    size = size_480p(mask.shape[1], mask.shape[0])
    target.write_bytes(encode_mask(resize_mask(mask, size)))


def _files(tree: Path, suffix: str) -> Iterator[Path]:
    for clip in clip_folders(tree):
        yield from numbered_files(tree / clip, suffix).values()


def _jobs(
    shrink: Callable[[Path, Path], None], sources: Iterable[Path], tree: Path
) -> Iterator[Callable[[], None]]:
    for source in sources:
        folder = tree / source.parent.name
        folder.mkdir(exist_ok=True)
        yield partial(shrink, source, folder / source.name)
