"""Priorities: which key frame to correct next, because its correction helps most.

Three numbers count equally, each from 0 to 1: how unsure the network is about the frame; how far
the frame is from the nearest one that a person masked, since a correction helps its neighbours; and
how different it looks from all frames that a person masked, since the network learns most from what
it has not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labeler.clip import Clip, frame_name
from labeler.likeness import Thumbnails, read_thumbnails, thumbnails_of, write_thumbnails

if TYPE_CHECKING:
    from labeler.workspace.workspace import Workspace

FAR = 20
"""From this many key frames on, the distance to the nearest masked one counts in full."""

AHEAD = 5
"""How many frames are chosen to be corrected next."""


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
    return read_thumbnails(path)  # rounded: every process is to find the same order


def next_frames(workspace: "Workspace") -> list[NextFrame]:
    """List the frames to correct next; each one assumes that those before it are corrected."""
    return PriorityOrder(workspace, make=False).next


class PriorityOrder:
    """The order in which the key frames of a workspace are best corrected.

    The first frames are chosen one after another, each as if those before it were corrected
    already. So two people who work at once do not correct neighbours. The priorities of all other
    frames assume that these are corrected; so no other frame has a higher one.

    Args:
        workspace: the clips and masks.
        ahead: how many frames to choose.
        make: compute missing thumbnails of a clip that is read again (see `key_frame_thumbnails`).
    """

    def __init__(self, workspace: "Workspace", ahead: int = AHEAD, *, make: bool = True) -> None:
        self._workspace, self._ahead, self._make = workspace, ahead, make
        self._states = {clip.name: self._state(clip, make=False) for clip in workspace.clips()}
        self._choose()

    @property
    def next(self) -> list[NextFrame]:
        """The frames to correct next, best first; fewer if no more are left."""
        return list(self._next)

    def read(self, clip: Clip) -> list[Clip]:
        """Read a clip's masks again; return it, and the others whose priorities have changed."""
        before = self._chosen()
        self._states[clip.name] = self._state(clip, make=self._make)
        self._choose()
        after = self._chosen()
        changed = {
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        }
        return [clip, *(self._states[name].clip for name in sorted(changed - {clip.name}))]

    def of(self, clip: Clip) -> dict[int, float]:
        """Return the priority of each key frame of a clip, 0 to 1; 0 if a person has masked it."""
        state = self._states[clip.name]
        found = dict(zip(clip.key_frames, self._priorities[clip.name].tolist(), strict=True))
        found |= {each.frame: each.priority for each in self._next if each.clip == state.clip.name}
        return found

    def _state(self, clip: Clip, *, make: bool) -> "_ClipState":
        current = self._workspace.current(clip)
        revisions = [current.get(frame) for frame in clip.key_frames]
        done = [each is not None and each.provenance.human for each in revisions]
        doubts = [1.0 if each is None else each.uncertainty or 0.0 for each in revisions]
        return _ClipState(
            clip, doubts, done, key_frame_thumbnails(self._workspace, clip, make=make)
        )

    def _choose(self) -> None:
        """Choose the next frames, and compute all priorities as if they were corrected."""
        done = {name: list(state.done) for name, state in self._states.items()}
        best = {name: state.now for name, state in self._states.items()}
        self._next: list[NextFrame] = []
        while len(self._next) < self._ahead:
            name = max(best, key=lambda each: float(best[each].max()), default=None)
            if name is None or not best[name].any():
                break
            state, position = self._states[name], int(best[name].argmax())
            priority = float(best[name][position])
            self._next.append(NextFrame(name, state.clip.key_frames[position], priority))
            done[name][position] = True
            best[name] = state.priorities(done[name])
        self._priorities = best

    def _chosen(self) -> dict[str, set[int]]:
        """The next frames of each clip that has some."""
        found: dict[str, set[int]] = {}
        for each in self._next:
            found.setdefault(each.clip, set()).add(each.frame)
        return found


@dataclass(frozen=True)
class _ClipState:
    """What the priorities of a clip depend on: per key frame the doubt, and whether it is done."""

    clip: Clip
    doubts: list[float]
    done: list[bool]
    looks: Thumbnails | None

    @cached_property
    def now(self) -> NDArray[np.float64]:
        """The priorities as things are."""
        return self.priorities(self.done)

    def priorities(self, done: Sequence[bool]) -> NDArray[np.float64]:
        """The priorities if these key frames were done."""
        return priorities(self.doubts, done, self.looks)


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
