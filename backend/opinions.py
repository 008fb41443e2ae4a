"""What a checker says in an annotation: a mask, a verdict, a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.annotation import AnnotatedMask, from_result
from backend.label_config import REASON, REJECTED, VERDICT

UNSAID = "rejected without a reason"


@dataclass(frozen=True)
class Opinion:
    """The checker's mask, and why they reject the one they were shown; "" if they do not."""

    found: AnnotatedMask
    reason: str


def opinion_of(result: object, height: int, width: int) -> Opinion:
    """Read the result of an annotation of the project in which masks are checked.

    Raises:
        LabelerError: it is no result, or a region of it is no mask of that size.
    """
    regions: object = result
    said: list[Mapping[str, Any]] = []
    if isinstance(result, Sequence) and not isinstance(result, str):
        said = [each for each in result if _name(each) in (VERDICT, REASON)]
        regions = [each for each in result if _name(each) not in (VERDICT, REASON)]
    rejected = any(REJECTED in _words(each, "choices") for each in said)
    reasons = [word for each in said for word in _words(each, "text")]
    reason = "; ".join(reasons) or UNSAID
    return Opinion(from_result(regions, height, width), reason if rejected else "")


def _name(region: object) -> str:
    name = region.get("from_name") if isinstance(region, dict) else None
    return name if isinstance(name, str) else ""


def _words(region: Mapping[str, Any], key: str) -> list[str]:
    value = region.get("value")
    words = value.get(key) if isinstance(value, dict) else None
    words = [words] if isinstance(words, str) else words
    return [each.strip() for each in words if isinstance(each, str)] if words else []
