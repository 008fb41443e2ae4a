"""Snapshots: the accepted masks of a workspace at one moment, on which a training runs.

Masks are append-only, so a list of masks is as good as a copy of them.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from labeler.clip import frame_name
from labeler.errors import LabelerError
from labeler.files import write_atomically
from labeler.revision import Provenance

if TYPE_CHECKING:
    from labeler.workspace.workspace import Workspace


@dataclass(frozen=True)
class SnapshotMask:
    """One accepted mask: the number of its revision, and the SHA-256 of its pixels."""

    clip: str
    frame: int
    revision: int
    sha256: str

    def path(self, workspace: Path) -> Path:
        """Return the path of the mask's file."""
        masks = workspace / "clips" / self.clip / "masks"
        return masks / frame_name(self.frame) / f"{self.revision}.png"


@dataclass(frozen=True)
class SnapshotClip:
    """A clip of the snapshot: its scenario, number of frames, and the SHA-256 of its source."""

    name: str
    scenario: str
    frame_count: int
    sha256: str


@dataclass(frozen=True)
class Snapshot:
    """Accepted masks, by clip and frame, of clips to train on and of clips to test on.

    `left_out` has (clip, reason) for each clip with accepted masks that is in neither list.
    """

    clips: tuple[SnapshotClip, ...]
    masks: tuple[SnapshotMask, ...]
    train: tuple[str, ...]
    test: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the whole snapshot, which names it."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def clip(self, name: str) -> SnapshotClip:
        """Return the clip of that name, which must be in the snapshot."""
        return next(clip for clip in self.clips if clip.name == name)

    def masks_of(self, names: Collection[str]) -> list[SnapshotMask]:
        """List the masks of some clips, in order."""
        return [mask for mask in self.masks if mask.clip in names]

    def to_json(self) -> str:
        """Return the snapshot as JSON; the same masks give the same text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    def write(self, path: Path) -> None:
        """Write the snapshot, completely or not at all."""
        write_atomically(path, self.to_json().encode())

    @classmethod
    def read(cls, path: Path) -> "Snapshot":
        """Read a snapshot that `write` wrote.

        Raises:
            LabelerError: the file is missing or damaged.
        """
        try:
            found = json.loads(path.read_text())
            return cls(
                tuple(SnapshotClip(**each) for each in found["clips"]),
                tuple(SnapshotMask(**each) for each in found["masks"]),
                tuple(found["train"]),
                tuple(found["test"]),
                tuple((clip, reason) for clip, reason in found["left_out"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabelerError(
                f"{path} is no snapshot ({error}); retrain anew, or put back a copy."
            ) from None


def accepted_masks(workspace: "Workspace") -> tuple[list[SnapshotClip], list[SnapshotMask]]:
    """List every accepted mask that counts now, and its clips, by clip and frame."""
    clips, masks = [], []
    for clip in workspace.clips():
        accepted = [
            SnapshotMask(clip.name, frame, revision.number, revision.digest)
            for frame, revision in sorted(workspace.current(clip).items())
            if revision.provenance is Provenance.ACCEPTED
        ]
        if accepted:
            masks += accepted
            about = clip.name, clip.scenario.value, clip.frame_count, clip.sha256
            clips.append(SnapshotClip(*about))
    return clips, masks


def take_snapshot(workspace: "Workspace", test_share: float) -> Snapshot:
    """Take a snapshot of the accepted masks, and divide their clips into train and test.

    A clip that shows what a locked test clip shows, under any name or encoding, is left out.

    Raises:
        LabelerError: nothing is accepted yet, or the lists of locked clips are damaged.
    """
    from labeler.likeness import alike
    from labeler.publish.locked import draw_locked, locked_thumbnails

    clips, masks = accepted_masks(workspace)
    if not clips:
        raise LabelerError(
            f"No mask in {workspace.root} is accepted yet; have some cross-checked, or import "
            "a labelled dataset."
        )
    split = draw_locked(workspace, test_share).split
    looks = locked_thumbnails(workspace.root)
    names = [clip.name for clip in clips]
    train, left_out = [], []
    for name in names:
        if name in split.test:
            continue
        frames = workspace.frames(workspace.clip(name)).folder
        pictures = (frames / f"{frame_name(m.frame)}.jpg" for m in masks if m.clip == name)
        if found := alike(pictures, looks):
            shown = f"shows frame {found[0].frame} of the locked test clip {found[0].clip}"
            left_out.append((name, f"its frame {int(found[0].picture.stem)} {shown}"))
        else:
            train.append(name)
    test = tuple(name for name in names if name in split.test)
    return Snapshot(tuple(clips), tuple(masks), tuple(train), test, tuple(left_out))
