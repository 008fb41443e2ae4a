"""Makes the 480p copy of a dataset: sizes, pictures and masks."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from io import FileIO
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags
from PIL import Image as Pillow

from labeler.clip import Image, encode_jpeg, read_image
from labeler.errors import LabelerError
from labeler.files import replacing
from labeler.layouts.mvps import (
    FULL,
    SMALL,
    clip_folders,
    mask_tree,
    numbered_files,
    picture_size,
    picture_tree,
)
from labeler.mask import Mask, encode_published_mask, read_mask
from labeler.publish.ledger import RECIPE, Ledger, Made, line, state_of
from labeler.publish.manifest import MANIFEST, files, read_manifest, renew_manifest
from labeler.threads import call_all

SHORT_SIDE = 480
"""The shorter side of a 480p picture, in pixels."""

ORIENTATION = ExifTags.Base.Orientation


def size_480p(width: int, height: int) -> tuple[int, int]:
    """Compute the size of a picture at 480p: (width, height) in pixels, both even.

    The shorter side becomes 480, be it width or height, and the longer one the nearest even number
    that keeps the aspect ratio. 480p is never larger: a picture whose shorter side is 480 or less
    keeps its size, except for one row or column if a side is odd.

    >>> size_480p(1920, 1080), size_480p(1080, 1920), size_480p(321, 240)
    ((854, 480), (480, 854), (320, 240))
    """
    short = min(width, height)
    if short <= SHORT_SIDE:
        return max(2, width - width % 2), max(2, height - height % 2)
    # Whole numbers only: a float could round a half up on one machine and down on another.
    return (
        2 * ((width * SHORT_SIDE + short) // (2 * short)),
        2 * ((height * SHORT_SIDE + short) // (2 * short)),
    )


def resize_image(image: Image, size: tuple[int, int]) -> Image:
    """Resize a picture, H x W x 3 uint8, to (width, height): each pixel is the mean of its area."""
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize a mask, H x W bool, to (width, height): each pixel is the nearest one."""
    pixels = cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.not_equal(pixels, 0)


def resize_dataset(folder: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Make the 480p pictures and masks of a dataset from its full resolution.

    A picture that already has its size at 480p is copied as it is. New 480p trees replace the old
    ones only when they are complete; files that a failed or killed run has made are reused. The
    manifest, if there is one, is updated.

    Args:
        folder: a dataset in the MVPS layout; its masks have two values.
        progress: called with (files made, files to make).

    Returns:
        The number of pictures and masks at 480p.

    Raises:
        LabelerError: there is no full resolution, a file is unreadable, or nothing can be written.
    """
    trees = ((picture_tree(folder, FULL), ".jpg"), (mask_tree(folder, FULL), ".png"))
    for tree, _ in trees:
        if not tree.is_dir():
            raise LabelerError(
                f"{tree} is missing, but 480p is made from it; give the folder that holds it."
            )
    if (folder / MANIFEST).exists():
        read_manifest(folder)  # a damaged manifest is refused before the work, not after it
    pictures, masks = ([*_files(tree, suffix)] for tree, suffix in trees)
    total = len(pictures) + len(masks)
    targets = picture_tree(folder, SMALL), mask_tree(folder, SMALL)
    made: dict[str, str] = {}
    with (
        replacing(targets[0], resume=True) as new_pictures,
        replacing(targets[1], resume=True) as new_masks,
    ):
        for sources, shrunk, new, target in (
            (pictures, shrunk_picture, new_pictures, targets[0]),
            (masks, shrunk_mask, new_masks, targets[1]),
        ):
            below = target.relative_to(folder).as_posix()
            for name, sha256 in _shrink_all(sources, shrunk, new):
                made[f"{below}/{name}"] = sha256
                if progress is not None:
                    progress(len(made), total)
    renew_manifest(folder, [target.relative_to(folder).as_posix() for target in targets], made)
    return total


def shrunk_picture(source: Path) -> bytes:
    """Make the 480p copy of a picture; return the file's bytes if it has that size already.

    The pixels are not turned, and an EXIF tag that says how to turn them is kept, so that every
    reader shows both resolutions alike.

    Raises:
        LabelerError: the file is missing or is no picture.
    """
    full = picture_size(source)
    size = size_480p(*full)
    if size == full:
        return source.read_bytes()
    return with_orientation(encode_jpeg(resize_image(read_image(source), size)), source)


def shrunk_mask(source: Path) -> bytes:
    """Make the 480p copy of a mask; the bytes depend only on the pixels.

    Raises:
        LabelerError: the file is missing or is no mask.
    """
    mask = read_mask(source)
    size = size_480p(mask.shape[1], mask.shape[0])
    return encode_published_mask(resize_mask(mask, size))


def with_orientation(jpeg: bytes, source: Path) -> bytes:
    """Copy the EXIF orientation of the picture `source`, if it has one, into a JPEG."""
    with Pillow.open(source) as picture:
        orientation = picture.getexif().get(ORIENTATION) if "exif" in picture.info else None
    if orientation not in range(2, 9):
        return jpeg
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    segment = exif.tobytes()
    return jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]


def _files(tree: Path, suffix: str) -> Iterator[Path]:
    for clip in clip_folders(tree):
        yield from numbered_files(tree / clip, suffix).values()


def _shrink_all(
    sources: Sequence[Path], shrunk: Callable[[Path], bytes], new: Path
) -> Iterator[tuple[str, str]]:
    """Fill a 480p tree that an earlier run may have begun; yield each file's path and SHA-256."""
    journal = new.with_name("journal")
    earlier = Ledger.read(journal)
    names = [f"{source.parent.name}/{source.name}" for source in sources]
    for leftover in set(files(new, [""])) - set(names):
        (new / leftover).unlink()
        with suppress(OSError):  # others may be left in it
            (new / leftover).parent.rmdir()
    with journal.open("ab", buffering=0) as file:  # each line is one call, from any thread
        if not earlier:
            file.truncate(0)
            file.write(f"{RECIPE}\n".encode())
        shrink = partial(_shrink, shrunk=shrunk, new=new, earlier=earlier, journal=file)
        jobs = (partial(shrink, source) for source in sources)
        yield from zip(names, call_all(jobs), strict=True)


def _shrink(
    source: Path, shrunk: Callable[[Path], bytes], new: Path, earlier: Ledger, journal: FileIO
) -> str:
    """Make one file of a 480p tree, unless an earlier run has made it from the same source."""
    name = f"{source.parent.name}/{source.name}"
    stamp = state_of(source)
    sha256 = earlier.still(new, name, stamp)
    if sha256 is None:
        data = shrunk(source)
        (new / name).parent.mkdir(exist_ok=True)
        (new / name).write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        journal.write(line(name, Made(stamp, sha256)).encode(errors="surrogateescape"))
    return sha256
