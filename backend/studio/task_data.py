"""The data of a key frame's task in Label Studio, and the mask that the task shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from backend.studio.annotation import to_result
from labeler.clip import Clip, frame_name
from labeler.likeness import Thumbnails
from labeler.review.priority import clip_priorities
from labeler.revision import Revision, counting, last_prediction
from labeler.workspace.workspace import Workspace

LEVELS = 10
"""Uncertainty and priority are rounded to this many steps, so that few calls update them."""


def prediction(workspace: Workspace, revision: Revision) -> dict[str, Any]:
    """Convert a mask to a prediction of Label Studio: `result`, and `score`, 1 - uncertainty.

    Raises:
        LabelerError: the mask's file is missing or damaged.
    """
    region = f"{revision.clip}-{revision.frame}-{revision.number}"
    return {
        "result": to_result(workspace.read(revision), region),
        "score": 1 - (revision.uncertainty or 0.0),
    }


def task_data(clip: Clip, frame: int, prefix: str) -> dict[str, Any]:
    """Return the fields of a task that never change: which frame it is, and its pictures.

    Args:
        clip: the clip.
        frame: the key frame.
        prefix: path of the workspace below Label Studio's document root, "" or `some/folder/`.
    """
    last = clip.key_frames[-1]

    def picture(index: int) -> str:
        return f"/data/local-files/?d={prefix}clips/{clip.name}/frames/{frame_name(index)}.jpg"

    return {
        "image": picture(frame),
        "previous": picture(frame - clip.stride) if frame else "",
        "next": picture(frame + clip.stride) if frame < last else "",
        "clip": clip.name,
        "frame": frame,
        "seconds": round(float(frame / clip.fps), 3),
        "scenario": clip.scenario.value,
    }


def changing_fields(
    clip: Clip, current: Mapping[int, Revision], looks: Thumbnails | None
) -> dict[int, dict[str, str | float]]:
    """Return the fields of a clip's tasks that change as masks come in, by key frame.

    They are the `provenance` of the mask that counts; its `uncertainty`, 0 to 1; and the
    `priority`, 0 to 1: how much a correction of this frame would help (see
    `labeler.review.priority`), 0 once a person has masked it. Both numbers are in tenths.
    """
    helps = clip_priorities(clip, current, looks)
    found: dict[int, dict[str, str | float]] = {}
    for frame in clip.key_frames:
        uncertainty, provenance = 1.0, "none"
        if (revision := current.get(frame)) is not None:
            provenance = revision.provenance.name.lower()
            uncertainty = 0.0 if revision.provenance.human else revision.uncertainty or 0.0
        priority = helps[frame]
        found[frame] = {
            "provenance": provenance,
            "uncertainty": round(uncertainty * LEVELS) / LEVELS,
            "priority": max(round(priority * LEVELS), 1) / LEVELS if priority else 0.0,
        }
    return found


def shown_revision(revisions: Sequence[Revision]) -> Revision | None:
    """Return the mask that Label Studio is to show as a frame's prediction; None if none exists.

    It is the newest prediction. But if the mask that counts is a person's, and Label Studio has no
    annotation for it since it came from elsewhere, then it is that mask.
    """
    latest = counting(revisions)
    annotated = {each.digest for each in revisions if each.annotation and not each.withdrawn}
    if latest is not None and latest.provenance.human and latest.digest not in annotated:
        return latest
    return last_prediction(revisions)
