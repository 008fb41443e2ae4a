"""Camera cuts of a clip in which nobody has looked for any."""

from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa

from labeler import tables
from labeler.clip import Clip
from labeler.cuts import CutFinder
from labeler.files import write_atomically
from labeler.workspace import Workspace


def look_for_cuts(
    workspace: Workspace, clip: Clip, progress: Callable[[int, int], None] | None = None
) -> Clip:
    """Look for camera cuts in the frames of a clip, and keep with it what was found.

    Nothing else of the clip changes. Killed half way, it is as if it had not begun.

    Args:
        workspace: where the clip is.
        clip: the clip.
        progress: called with (frames seen, frames to see).

    Raises:
        LabelerError: a frame is missing or damaged.
    """
    finder, frames = CutFinder(clip.fps), workspace.frames(clip)
    for index in range(len(frames)):
        finder.see(frames[index])
        if progress is not None:
            progress(index + 1, len(frames))
    judged = replace(clip, cuts=finder.cuts())
    with workspace.database.writing() as connection:
        write_atomically(workspace.clip_folder(clip.name) / "clip.json", judged.to_json().encode())
        row = sa.update(tables.clips).filter_by(name=clip.name)
        connection.execute(row.values(cuts=judged.cuts))
    return judged
