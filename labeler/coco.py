"""Regions in COCO's run lengths, to and from masks."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeler.errors import LabelerError
from labeler.mask import Mask

Size = tuple[int, int]
"""Height and width, in pixels."""


def decode_runs(counts: bytes) -> NDArray[np.int64]:
    """Decode COCO's compressed run lengths: of outside, inside, outside, ..., down the columns.

    As in `rleFrString` of pycocotools' maskApi.c: six bits a byte, five of the number and one
    for whether it goes on, the lowest first; from the fourth run on, the difference from the run
    two before. (pycocotools' own `decode` warns under numpy 2.)

    >>> decode_runs(b"55o0").tolist()
    [5, 5, 31]
    """
    runs: list[int] = []
    number = bits = 0
    for byte in counts:
        digit = byte - 48
        number |= (digit & 31) << bits
        bits += 5
        if not digit & 32:
            if digit & 16:
                number -= 1 << bits
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = bits = 0
    return np.array(runs, np.int64)


def region(
    segmentation: Sequence[Sequence[float]] | Mapping[str, Any], size: Size
) -> dict[str, Any]:
    """The compressed run lengths of an annotation's polygons or run lengths, as pycocotools has it.

    Raises:
        LabelerError: pycocotools is not installed.
        ValueError, KeyError, TypeError, IndexError: the annotation is something else.
    """
    coco = module("mask")
    height, width = size
    given: Any = segmentation
    if isinstance(given, Mapping):
        made = (
            coco.frPyObjects(given, height, width) if isinstance(given["counts"], list) else given
        )
    else:
        made = coco.merge(coco.frPyObjects(given, height, width))
    counts = made["counts"]
    counts = counts.encode() if isinstance(counts, str) else bytes(counts)
    return {"size": list(made["size"]), "counts": counts}


def union(regions: Sequence[dict[str, Any]], size: Size) -> Mask:
    """The mask, H x W bool, of every pixel that is in one of the regions.

    Raises:
        LabelerError: a region is of another size, or of none.
    """
    mask = np.zeros(size[0] * size[1], bool)
    for each in regions:
        runs = decode_runs(each["counts"])
        if tuple(each["size"]) != size or runs.sum() != mask.size or (runs < 0).any():
            raise LabelerError("its run lengths do not fill the picture; write the file again.")
        mask |= np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(mask.reshape(size, order="F"))


def encode(mask: Mask) -> dict[str, Any]:
    """The `segmentation`, `area` and `bbox` of a mask, H x W bool, as a JSON file has them."""
    coco = module("mask")
    made = coco.encode(np.asfortranarray(mask.view(np.uint8)))
    return {
        "segmentation": {"size": list(mask.shape), "counts": made["counts"].decode("ascii")},
        "area": int(mask.sum()),
        "bbox": coco.toBbox(made).tolist(),
    }


def module(name: str) -> Any:
    """A module of pycocotools, imported where it is used: training elsewhere does without it."""
    try:
        return importlib.import_module(f"pycocotools.{name}")
    except ImportError:
        raise LabelerError(
            "To read MSCOCO takes pycocotools; run `pip install pycocotools`."
        ) from None
