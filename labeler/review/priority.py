"""Priorities: which key frame to correct next, because its correction helps most.

Three numbers count equally, each from 0 to 1: how unsure the network is about the frame; how far
the frame is from the nearest one that a person masked, since a correction helps its neighbours; and
how different it looks from all frames that a person masked, since the network learns most from what
it has not seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labeler.clip import Clip, frame_name
from labeler.likeness import Thumbnails, read_thumbnails, thumbnails_of, write_thumbnails
from labeler.revision import Revision

if TYPE_CHECKING:
    from labeler.workspace.workspace import Workspace

FAR = 20
"""From this many key frames on, the distance to the nearest masked one counts in full."""


@dataclass(frozen=True)
class NextFrame:
    """A key frame to correct, and its priority, 0 to 1."""

    clip: str
    frame: int
    priority: float


def priorities(
    uncertainties: Sequence[float], done: Sequence[bool], looks: Thumbnails | None = None
) -> NDArray[np.float64]:
    """Compute the priority of each key frame of a clip, 0 to 1; 0 if a person has masked it.

    Args:
        uncertainties: the network's uncertainty per key frame, 0 to 1; 1 if it has no mask yet.
        done: whether a person has masked it.
        looks: the frames' thumbnails, N x 256; None leaves out how they look.
    """
    doubts, masked = np.asarray(uncertainties, np.float64), np.asarray(done, np.bool_)
    terms = [doubts, _distances(masked)]
    if looks is not None:
        terms.append(_novelties(masked, looks))
    found = np.mean(terms, axis=0)
    found[masked] = 0
    return np.asarray(found)


def key_frame_thumbnails(
    workspace: "Workspace", clip: Clip, *, make: bool = True
) -> Thumbnails | None:
    """Return the thumbnails of a clip's key frames, stored in the workspace's folder `looks`.

    Args:
        workspace: where the clip is.
        clip: the clip.
        make: compute missing thumbnails, about 10 ms per picture; False returns None instead.

    Raises:
        LabelerError: a picture is missing or damaged.
    """
    path = workspace.root / "looks" / f"{clip.name}.npy"
    if path.exists():
        looks = read_thumbnails(path)
        if len(looks) == len(clip.key_frames):
            return looks
    if not make:
        return None
    frames = workspace.frames(clip).folder
    looks = thumbnails_of(frames / f"{frame_name(index)}.jpg" for index in clip.key_frames)
    path.parent.mkdir(exist_ok=True)
    write_thumbnails(path, looks)
    return looks


def clip_priorities(
    clip: Clip, current: Mapping[int, Revision], looks: Thumbnails | None = None
) -> dict[int, float]:
    """Compute the priority of each key frame of a clip from the revisions that count now."""
    doubts, done = _standing(clip, current)
    return dict(zip(clip.key_frames, priorities(doubts, done, looks).tolist(), strict=True))


def next_frames(workspace: "Workspace", count: int = 5) -> list[NextFrame]:
    """List the frames to correct next; each one assumes that those before it are corrected."""
    states = []
    for clip in workspace.clips():
        doubts, done = _standing(clip, workspace.current(clip))
        if not all(done):
            states.append((clip, doubts, done, key_frame_thumbnails(workspace, clip, make=False)))
    found: list[NextFrame] = []
    best = [priorities(doubts, done, looks) for _, doubts, done, looks in states]
    while len(found) < count and best and max(each.max() for each in best) > 0:
        which = int(np.argmax([each.max() for each in best]))
        clip, doubts, done, looks = states[which]
        position = int(best[which].argmax())
        found.append(NextFrame(clip.name, clip.key_frames[position], float(best[which][position])))
        done[position] = True
        best[which] = priorities(doubts, done, looks)
    return found


def _standing(clip: Clip, current: Mapping[int, Revision]) -> tuple[list[float], list[bool]]:
    """Return how unsure the network is of each key frame, and which ones a person has masked."""
    revisions = [current.get(frame) for frame in clip.key_frames]
    done = [each is not None and each.provenance.human for each in revisions]
    doubts = [1.0 if each is None else each.uncertainty or 0.0 for each in revisions]
    return doubts, done


def _distances(done: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute how far each frame is from the nearest one done, as a share of `FAR`, at most 1."""
    if not done.any():
        return np.ones(len(done))
    steps = np.abs(np.arange(len(done))[:, None] - np.flatnonzero(done)).min(axis=1)
    return np.asarray(np.minimum(steps / FAR, 1.0))


def _novelties(done: NDArray[np.bool_], looks: Thumbnails) -> NDArray[np.float64]:
    """Compute each frame's difference from all done: 1 less the greatest correlation, at most 1."""
    if not done.any():
        return np.ones(len(done))
    alike = (looks @ looks[done].T).max(axis=1)
    return np.asarray(1 - np.clip(alike, 0, 1), np.float64)
