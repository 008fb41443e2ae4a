"""What Label Studio sends, as far as anybody reads it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from backend.studio.annotation import to_result
from labeler.mask import Mask
from tests.workspaces import SIZE

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
PROJECT = 1


def minute(number: float) -> str:
    """A time as Label Studio writes it, so many minutes after noon."""
    return (NOON + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")


def task(clip: str = "walk", frame: object = 5, **more: object) -> dict[str, Any]:
    return {"id": 100, "data": {"clip": clip, "frame": frame, "image": "/data/x.jpg"}, **more}


def submission(
    mask: Mask | None,
    *,
    action: str = "ANNOTATION_CREATED",
    annotation: int = 7,
    at: float = 0,
    clip: str = "walk",
    frame: object = 5,
    **more: object,
) -> dict[str, Any]:
    """An annotation that was created or updated, its `result` a mask, or whatever is given."""
    result = [] if mask is None else to_result(mask, "r")
    return {
        "action": action,
        "project": {"id": PROJECT, "title": "MVPS"},
        "task": task(clip, frame),
        "annotation": {
            "id": annotation,
            "unique_id": f"uuid-{annotation}",
            "project": PROJECT,
            "task": 100,
            "completed_by": 3,
            "updated_by": None,
            "was_cancelled": False,
            "created_at": minute(0),
            "updated_at": minute(at),
            "result": result,
            **more,
        },
    }


def update(mask: Mask | None, **more: Any) -> dict[str, Any]:
    return submission(mask, action="ANNOTATION_UPDATED", **more)


def deletion(*annotations: int) -> dict[str, Any]:
    return {
        "action": "ANNOTATIONS_DELETED",
        "project": {"id": PROJECT},
        "annotations": [{"id": number} for number in annotations],
    }


def region(mask: Mask, **changes: object) -> dict[str, Any]:
    """The one region of a mask, with some of its fields changed."""
    (found,) = to_result(mask, "r")
    value = changes.pop("value", {})
    assert isinstance(value, dict)
    return found | changes | {"value": found["value"] | value}


def empty_bits(count: int) -> list[int]:
    """A brush code that says it has so many values, and has none."""
    return list((count << 24 | 0b00111_0010_0011_0111_1111 << 3).to_bytes(7))


VALUES = 4 * SIZE[0] * SIZE[1]
