"""Counts how far each clip of a workspace has come."""

from collections import Counter
from dataclasses import dataclass

from labeler.clip import Clip
from labeler.collect.rules import RuleResult, check_rules
from labeler.revision import Provenance
from labeler.workspace.workspace import Workspace


@dataclass(frozen=True)
class ClipOverview:
    """A clip and the number of its key frames, by the provenance of the mask that counts.

    `missing` key frames have no mask. `verdicts` are the verdicts on the collection rules, empty
    if nobody asked for them.
    """

    clip: Clip
    missing: int
    masks: dict[Provenance, int]
    verdicts: tuple[RuleResult, ...] = ()

    @property
    def rules(self) -> str:
        """Which collection rules are broken or not judged yet; "" where nobody asked for them."""
        told = [
            f"{word}: {', '.join(rules)}"
            for word in ("broken", "not judged yet")
            if (rules := [verdict.rule for verdict in self.verdicts if verdict.word == word])
        ]
        return "; ".join(told) or ("all kept" if self.verdicts else "")

    @property
    def predicted(self) -> int:
        """How many key frames have a network's mask only."""
        return self.masks[Provenance.PREDICTED]

    @property
    def human(self) -> int:
        """How many key frames a person has masked, confirmed or checked."""
        return sum(count for provenance, count in self.masks.items() if provenance.human)

    @property
    def checked(self) -> int:
        """How many key frames have an accepted mask."""
        return self.masks[Provenance.ACCEPTED]


def overview(workspace: Workspace, *, judged: bool = False) -> list[ClipOverview]:
    """Count each clip's key frames, by clip name; with `judged`, judge the rules, too."""
    found = []
    for clip in workspace.clips():
        current = workspace.current(clip)
        counts = Counter(revision.provenance for revision in current.values())
        missing = len(clip.key_frames) - counts.total()
        verdicts = check_rules(clip, current, workspace.mask_path) if judged else ()
        found.append(ClipOverview(clip, missing, {p: counts[p] for p in Provenance}, verdicts))
    return found
