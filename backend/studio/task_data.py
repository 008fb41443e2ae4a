"""The data of a key frame's task in Label Studio, and the mask that the task shows."""

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import sqlalchemy as sa

from backend.store import tables
from backend.studio.annotation import to_result
from labeler.clip import Clip, frame_name
from labeler.revision import Revision, counting, last_prediction
from labeler.workspace.workspace import Workspace

LEVELS = 10
"""Uncertainty and priority are rounded to this many steps, so that few calls update them."""

SMALLEST = 0.01
"""The priority of a frame that nobody has masked is never shown as 0."""

NEXT, LATER, DONE = "next", "later", "done"
"""Values of the field `turn`: corrected next, some time, or masked by a person already."""


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
    clip: Clip, current: Mapping[int, Revision], helps: Mapping[int, float], following: Set[int]
) -> dict[int, dict[str, str | float]]:
    """Return the fields of a clip's tasks that change as masks come in, by key frame.

    They are the `provenance` of the mask that counts; the version of the `weights` that made it, ""
    if a person did; its `uncertainty`, 0 to 1, in tenths; the `priority`, 0 to 1: how much a
    correction of this frame would help, 0 once a person has masked it; and its `turn`. The
    priorities of the frames that come next are exact, the others are rounded down to tenths, so
    that few calls update them and no frame passes one that comes before.

    Args:
        clip: the clip.
        current: the masks that count.
        helps: the priorities (see `labeler.review.priority.PriorityOrder`).
        following: the frames of this clip that are among those to be corrected next.
    """
    found: dict[int, dict[str, str | float]] = {}
    for frame in clip.key_frames:
        uncertainty, provenance, weights, turn = 1.0, "none", "", LATER
        if (revision := current.get(frame)) is not None:
            provenance, weights = revision.provenance.name.lower(), revision.model_version
            uncertainty = 0.0 if revision.provenance.human else revision.uncertainty or 0.0
        priority = helps[frame]
        if frame in following:
            turn, told = NEXT, max(round(priority, 4), 2 * SMALLEST)
        elif priority:
            told = max(math.floor(priority * LEVELS) / LEVELS, SMALLEST)
        else:
            turn, told = DONE, 0.0
        found[frame] = {
            "provenance": provenance,
            "weights": weights,
            "uncertainty": round(uncertainty * LEVELS) / LEVELS,
            "priority": told,
            "turn": turn,
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


def show_again(workspace: Workspace, tasks: Sequence[int]) -> None:
    """Let the predictions of tasks be looked at again when their clips are published next.

    Label Studio keeps each prediction that it asks for, beside the one that it was sent.
    """
    table = tables.tasks
    values: dict[str, object] = {"shown": 0, "prediction": None}
    with workspace.database.writing() as connection:
        for start in range(0, len(tasks), 1000):  # databases limit the values of a statement
            part = table.c.task.in_(tasks[start : start + 1000])
            connection.execute(sa.update(table).where(part).values(**values))
