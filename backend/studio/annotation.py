"""Annotations of Label Studio: their masks, and a checker's verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labeler.errors import LabelerError
from labeler.layouts.brush import decode_brush, encode_brush
from labeler.mask import Mask
from labeler.review.crosscheck import Preferred

FROM_NAME, TO_NAME, LABEL = "mask", "image", "Portrait"
"""The names of the brush, the picture and the label in our label config."""

VERDICT, REASON, REJECTED = "verdict", "reason", "Reject"
"""The names of the checker's choice and of its reason, and the choice that rejects the mask."""

PRESENCE, NOBODY = "presence", "Nobody is in this frame"
"""The name of the choice that says that a frame shows no portrait, and what it says."""

FIRST_MASK, SECOND_MASK = "First mask", "Second mask"
"""The labels of the two masks that a third person is shown."""

DECISION, FIRST_IS_RIGHT, SECOND_IS_RIGHT = "decision", "The first is right", "The second is right"
"""The name of a third person's choice, and the choices."""

UNSAID = "rejected without a reason"

ANSWERS = (VERDICT, REASON, PRESENCE)

MAX_REGIONS = 1000
"""The most regions that an annotation may have: each is decoded at the size of the frame."""

LONGEST_LEAD_TIME = 10_000_000.0
"""Seconds, about four months; NaN and infinity are outside of it, too."""


@dataclass(frozen=True)
class AnnotatedMask:
    """The union of the portrait's regions, H x W bool, and how many regions were something else."""

    mask: Mask
    ignored: int


def to_result(mask: Mask, region: str, label: str = LABEL) -> list[dict[str, Any]]:
    """Convert a mask to the result of a prediction: one region, or none for an empty mask.

    Args:
        mask: H x W bool.
        region: a name for the region.
        label: what the region is.
    """
    if not mask.any():
        return []
    height, width = mask.shape
    return [
        {
            "id": region,
            "from_name": FROM_NAME,
            "to_name": TO_NAME,
            "type": "brushlabels",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [label]},
        }
    ]


def from_result(result: object, height: int, width: int) -> AnnotatedMask:
    """Read the result of an annotation of a frame of `height` x `width` pixels.

    Regions without the portrait's label, or not painted with the brush, are counted and left out.

    Raises:
        LabelerError: it is no result, or a region of the portrait has another size, is rotated,
            or is no valid brush stroke.
    """
    if not isinstance(result, Sequence) or isinstance(result, str):
        raise LabelerError("The annotation's result is not a list; submit it again.")
    if len(result) > MAX_REGIONS:
        raise LabelerError(
            f"The annotation has {len(result)} regions, more than {MAX_REGIONS}; join them."
        )
    union = np.zeros((height, width), np.bool_)
    ignored = 0
    for region in result:
        value = _portrait(region)
        if value is None:
            ignored += 1
            continue
        size = region.get("original_width"), region.get("original_height")
        if size != (width, height):
            raise LabelerError(
                f"A region is for a picture of {size[0]!r}x{size[1]!r} but the frame is "
                f"{width}x{height}; delete it and paint it on the frame."
            )
        if region.get("image_rotation", 0) != 0:
            raise LabelerError("The picture was rotated while painting; rotate it back and submit.")
        if value.get("format") != "rle":
            raise LabelerError("A region is not a brush stroke in RLE; paint it with the brush.")
        union |= decode_brush(value.get("rle", ()), height, width)
    return AnnotatedMask(union, ignored)


def _portrait(region: object) -> Mapping[str, Any] | None:
    """The value of a region that is painted with the portrait's brush, else None."""
    if not isinstance(region, dict) or region.get("type") != "brushlabels":
        return None
    value = region.get("value")
    if not isinstance(value, dict):
        return None
    labels = value.get("brushlabels")
    return value if isinstance(labels, list) and LABEL in labels else None


@dataclass(frozen=True)
class Opinion:
    """What a person says of a frame.

    Attributes:
        found: their mask.
        reason: why a checker rejects the mask that they were shown; "" if they do not.
        nobody: whether they say that nobody is in the frame.
    """

    found: AnnotatedMask
    reason: str
    nobody: bool


def opinion_of(result: object, height: int, width: int) -> Opinion:
    """Read the result of an annotation: the mask, and what was chosen and written beside it.

    Raises:
        LabelerError: it is no result, or a region of it is no mask of that size.
    """
    regions: object = result
    said: list[Mapping[str, Any]] = []
    if isinstance(result, Sequence) and not isinstance(result, str):
        said = [each for each in result if _name(each) in ANSWERS]
        regions = [each for each in result if _name(each) not in ANSWERS]
    chosen = [word for each in said for word in _words(each, "choices")]
    reasons = [word for each in said for word in _words(each, "text")]
    reason = "; ".join(reasons) or UNSAID
    found = from_result(regions, height, width)
    return Opinion(found, reason if REJECTED in chosen else "", NOBODY in chosen)


def decision_of(result: object) -> tuple[Preferred, str]:
    """Read which of two masks a third person finds right, and why ("" if they do not say).

    Raises:
        LabelerError: they have not chosen one of the two.
    """
    said = result if isinstance(result, Sequence) and not isinstance(result, str) else []
    named = {name: [each for each in said if _name(each) == name] for name in (DECISION, REASON)}
    chosen = {word for each in named[DECISION] for word in _words(each, "choices")}
    if len(chosen) != 1 or not chosen <= PREFERRED.keys():
        raise LabelerError(
            f'The annotation does not say which mask is right; choose "{FIRST_IS_RIGHT}" or '
            f'"{SECOND_IS_RIGHT}" and submit again.'
        )
    reason = "; ".join(word for each in named[REASON] for word in _words(each, "text"))
    return PREFERRED[chosen.pop()], reason


PREFERRED = {FIRST_IS_RIGHT: Preferred.FIRST, SECOND_IS_RIGHT: Preferred.SECOND}


def lead_time(annotation: Mapping[str, Any]) -> float | None:
    """Return how many seconds the annotator had the task open; None if that is not told.

    Label Studio adds up the times of all states of an annotation. A value that no work can have
    taken is not believed; the mask counts all the same.
    """
    told = annotation.get("lead_time")
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return float(told) if 0 <= told <= LONGEST_LEAD_TIME else None


def _name(region: object) -> str:
    name = region.get("from_name") if isinstance(region, dict) else None
    return name if isinstance(name, str) else ""


def _words(region: Mapping[str, Any], key: str) -> list[str]:
    value = region.get("value")
    words = value.get(key) if isinstance(value, dict) else None
    words = [words] if isinstance(words, str) else words
    return [each.strip() for each in words if isinstance(each, str)] if words else []
