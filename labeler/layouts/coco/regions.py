"""Regions of COCO, polygons or run lengths, as masks; every number is checked before C code."""

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeler.errors import LabelerError
from labeler.mask import Mask

Size = tuple[int, int]
"""Height and width, in pixels."""

LONGEST_OUTLINE = 2_000_000
"""The longest outline of a polygon, in pixels; pycocotools takes some 200 bytes for each."""


class RegionError(ValueError):
    """A region that cannot be used; the message is a clause that says why."""


def decode_runs(counts: bytes) -> NDArray[np.int64]:
    """Decode COCO's compressed run lengths: outside, inside, outside, ..., down the columns.

    As in `rleFrString` of pycocotools' maskApi.c, a byte has six bits: five bits of the number, the
    lowest ones first, and one bit that says whether the number goes on. From the fourth run on, the
    number is the difference from the run two before. (pycocotools' `decode` warns under numpy 2.)

    Raises:
        RegionError: these are no such run lengths.

    >>> decode_runs(b"55o0").tolist()
    [5, 5, 31]
    """
    runs: list[int] = []
    number = bits = 0
    for byte in counts:
        digit = byte - 48
        if not 0 <= digit < 64 or bits > 40:
            raise RegionError("its run lengths are damaged")
        number |= (digit & 31) << bits
        bits += 5
        if not digit & 32:
            if digit & 16:
                number -= 1 << bits
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = bits = 0
            if abs(runs[-1]) >= 1 << 40:
                raise RegionError("its run lengths are damaged")
    if bits:
        raise RegionError("its run lengths are cut off")
    return np.array(runs, np.int64)


def encode_runs(runs: NDArray[np.int64]) -> bytes:
    """Encode run lengths as `decode_runs` decodes them.

    >>> encode_runs(np.array([5, 5, 31]))
    b'55o0'
    """
    counts = bytearray()
    values = runs.tolist()
    for place, run in enumerate(values):
        number = run - values[place - 2] if place > 2 else run
        more = True
        while more:
            digit = number & 31
            number >>= 5
            more = number != (-1 if digit & 16 else 0)
            counts.append(48 + (digit | 32 if more else digit))
    return bytes(counts)


def region(segmentation: Any, size: Size) -> bytes | None:
    """Convert an annotation's polygons or run lengths to compressed run lengths.

    Args:
        segmentation: polygons, each a list of x, y, x, y, ...; or one such list; or run lengths,
            compressed or not, with their size.
        size: (height, width) of the picture, in pixels.

    Returns:
        The run lengths; None if there is no region: nothing, or only points and lines.

    Raises:
        LabelerError: pycocotools is not installed.
        RegionError: a number is no number, not finite or far outside the picture, or the run
            lengths do not fill the picture.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, Mapping):
        return encode_runs(_checked_runs(segmentation, size))
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        raise RegionError("it is neither polygons nor run lengths")
    polygons = segmentation if isinstance(segmentation[0], Sequence) else [segmentation]
    outlines = [each for polygon in polygons if (each := _checked_polygon(polygon, size))]
    if not outlines:
        return None
    coco = module("mask")
    height, width = size
    made = coco.merge(coco.frPyObjects(outlines, height, width))
    return bytes(made["counts"])


def union(regions: Sequence[bytes], size: Size) -> Mask:
    """Make the mask, H x W bool, of all pixels that are in at least one of the regions.

    Raises:
        RegionError: a region does not fill the picture.
    """
    mask = np.zeros(size[0] * size[1], bool)
    for counts in regions:
        runs = _filling(decode_runs(counts), size)
        mask |= np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(mask.reshape(size, order="F"))


def encode(mask: Mask) -> dict[str, Any]:
    """Encode a mask, H x W bool, as the `segmentation`, `area` and `bbox` of a JSON file."""
    coco = module("mask")
    made = coco.encode(np.asfortranarray(mask.view(np.uint8)))
    return {
        "segmentation": {"size": list(mask.shape), "counts": made["counts"].decode("ascii")},
        "area": int(mask.sum()),
        "bbox": coco.toBbox(made).tolist(),
    }


def module(name: str) -> Any:
    """Import a module of pycocotools only when it is used: other training does not need it."""
    try:
        return importlib.import_module(f"pycocotools.{name}")
    except ImportError:
        raise LabelerError(
            "The layout of COCO needs pycocotools; run `pip install pycocotools`."
        ) from None


def _checked_polygon(polygon: Any, size: Size) -> list[float]:
    """Check a polygon's numbers; return [] for fewer than three points, which have no area."""
    if not isinstance(polygon, Sequence) or isinstance(polygon, str):
        raise RegionError("it has a polygon that is no list of numbers")
    if len(polygon) % 2:
        raise RegionError("it has a polygon with an odd number of coordinates")
    height, width = size
    for place, value in enumerate(polygon):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RegionError(f"it has a polygon with {_shown(value)}, which is no number")
        side = height if place % 2 else width
        if not -side <= value <= 2 * side:  # also False for NaN
            raise RegionError(
                f"it has a polygon with the coordinate {_shown(value)}, far outside the picture of "
                f"{width}x{height}"
            )
    if len(polygon) < 6:
        return []
    points = [float(value) for value in polygon]
    x, y = np.array(points[::2]), np.array(points[1::2])
    steps = np.maximum(np.abs(np.roll(x, 1) - x), np.abs(np.roll(y, 1) - y))
    if steps.sum() > LONGEST_OUTLINE:
        raise RegionError("it has a polygon whose outline is too long to be one")
    return points


def _checked_runs(segmentation: Mapping[str, Any], size: Size) -> NDArray[np.int64]:
    """Check run lengths, compressed or not, and that they are of this picture."""
    counts = segmentation.get("counts")
    given = segmentation.get("size", list(size))
    if not isinstance(given, list | tuple) or list(given) != list(size):
        raise RegionError(f"its run lengths are of a picture of {_shown(given)}")
    if isinstance(counts, str) and counts.isascii():
        counts = counts.encode()
    if isinstance(counts, bytes):
        return _filling(decode_runs(counts), size)
    if not isinstance(counts, list) or not all(type(each) is int for each in counts):
        raise RegionError("its run lengths are no whole numbers")
    if not all(0 <= each <= math.prod(size) for each in counts):
        raise RegionError("its run lengths do not fill the picture")
    return _filling(np.array(counts, np.int64), size)


def _filling(runs: NDArray[np.int64], size: Size) -> NDArray[np.int64]:
    if (runs < 0).any() or runs.sum() != math.prod(size):
        raise RegionError("its run lengths do not fill the picture")
    return runs


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
