"""How far each clip of a workspace has come."""

from collections import Counter
from dataclasses import dataclass

from labeler.clip import Clip
from labeler.revision import Provenance
from labeler.workspace import Workspace


@dataclass(frozen=True)
class ClipOverview:
    """A clip and the number of its key frames by what counts for them; `missing` have no mask."""

    clip: Clip
    missing: int
    masks: dict[Provenance, int]

    @property
    def predicted(self) -> int:
        """How many key frames have a network's mask only."""
        return self.masks[Provenance.PREDICTED]

    @property
    def human(self) -> int:
        """How many a person has masked, confirmed or checked."""
        return sum(count for provenance, count in self.masks.items() if provenance.human)

    @property
    def checked(self) -> int:
        """How many a second person has accepted, too."""
        return self.masks[Provenance.ACCEPTED]


def overview(workspace: Workspace) -> list[ClipOverview]:
    """How far each clip has come, by clip name."""
    found = []
    for clip in workspace.clips():
        counts = Counter(revision.provenance for revision in workspace.current(clip).values())
        missing = len(clip.key_frames) - counts.total()
        found.append(ClipOverview(clip, missing, {p: counts[p] for p in Provenance}))
    return found
