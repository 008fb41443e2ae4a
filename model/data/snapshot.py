"""Turn a workspace's snapshot into training data and test clips."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeler.clip import frame_name
from labeler.errors import LabelerError
from labeler.mask import mask_digest, read_mask
from labeler.publish.snapshot import Snapshot, SnapshotMask
from model.data.sources import People, Sources, Still, Take


@dataclass(frozen=True)
class SnapshotLabels:
    """The file of a snapshot's mask; it is refused if it holds another mask by now."""

    path: Path
    sha256: str

    def read(self) -> People:
        """Read the mask, 1 where a person is.

        Raises:
            LabelerError: the file is missing or damaged, or its mask is not the snapshot's.
        """
        mask = read_mask(self.path)
        if mask_digest(mask) != self.sha256:
            raise LabelerError(
                f"{self.path} is not the mask that the snapshot has; run `mvps doctor --deep`."
            )
        return mask.astype(np.uint8)


def sources_of(snapshot: Snapshot, workspace: Path, known: Snapshot | None = None) -> Sources:
    """Return a snapshot's training data; masks that the snapshot `known` lacks are fresh."""
    masks = snapshot.masks_of(snapshot.train)
    old = set() if known is None else {(each.clip, each.frame, each.sha256) for each in known.masks}
    fresh = [each for each in masks if (each.clip, each.frame, each.sha256) not in old]
    new = set(fresh)
    return Sources(
        clips=_takes(snapshot, [each for each in masks if each not in new], workspace),
        fresh=_takes(snapshot, fresh, workspace),
    )


def held_out_takes(snapshot: Snapshot, workspace: Path) -> tuple[Take, ...]:
    """Return the test clips of a snapshot, with their masks."""
    return _takes(snapshot, snapshot.masks_of(snapshot.test), workspace)


def _takes(
    snapshot: Snapshot, masks: Collection[SnapshotMask], workspace: Path
) -> tuple[Take, ...]:
    takes = []
    for name in dict.fromkeys(mask.clip for mask in masks):
        of_clip = [mask for mask in masks if mask.clip == name]
        frames = workspace / "clips" / name / "frames"
        stills = tuple(
            Still(
                f"{name}/{frame_name(mask.frame)}",
                frames / f"{frame_name(mask.frame)}.jpg",
                SnapshotLabels(mask.path(workspace), mask.sha256),
            )
            for mask in of_clip
        )
        length = snapshot.clip(name).frame_count
        pictures = {index: frames / f"{frame_name(index)}.jpg" for index in range(length)}
        takes.append(Take(name, tuple(mask.frame for mask in of_clip), stills, length, pictures))
    return tuple(takes)
