"""The standing of a key frame: how far it is in the cross-check, by what people said of its mask.

MVPS had all of its masks cross-checked (PDNet paper, section 3.1). Here the second person is never
the one who made the mask. If the two agree, the mask is accepted. If not, a third person looks at
both masks, and that verdict is final.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from labeler.clip import Clip
from labeler.mask import Mask
from labeler.metrics import boundary_measure, region_similarity
from labeler.revision import Provenance, Revision, Shown, counting, standing_of

AUDIT_SHARE = 0.03
"""The share of key frames that are masked again by somebody who is shown no mask at all."""


class Stage(StrEnum):
    """How far a key frame has come; the value is its name for a script."""

    MISSING = "missing"
    PREDICTED = "predicted"
    UNCHECKED = "unchecked"
    CONFLICT = "conflict"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class Agreement:
    """How alike two masks are: region J and boundary F at native size, 0 to 1."""

    region: float
    boundary: float

    @staticmethod
    def of(first: Mask, second: Mask) -> "Agreement":
        """Compare two masks of one frame."""
        return Agreement(region_similarity(first, second), boundary_measure(first, second))


@dataclass(frozen=True)
class Thresholds:
    """The least region J and boundary F at which two people's masks agree."""

    region: float = 0.95
    boundary: float = 0.90

    def met_by(self, agreement: Agreement) -> bool:
        """Tell whether two masks are alike enough."""
        return agreement.region >= self.region and agreement.boundary >= self.boundary


STRICT = Thresholds()


@dataclass(frozen=True)
class Standing:
    """The standing of a key frame: its stage, the mask that counts, and a second person's mask.

    `second` is set in a conflict, and also for the moment until the two masks have been compared.
    """

    stage: Stage
    first: Revision | None = None
    second: Revision | None = None


def standing(revisions: Sequence[Revision]) -> Standing:
    """Derive the standing of a key frame from its revisions in order of number."""
    first = counting(revisions)
    if first is None:
        return Standing(Stage.MISSING)
    if not first.provenance.human:
        return Standing(Stage.PREDICTED, first)
    if first.provenance is Provenance.ACCEPTED:
        return Standing(Stage.ACCEPTED, first)
    latest: dict[str, Revision] = {}
    for each in sorted(standing_of(revisions), key=lambda each: each.created):
        if _is_about(each, first, revisions):
            latest[each.author] = each
    if not latest:
        return Standing(Stage.UNCHECKED, first)
    # If several people checked, the earliest check counts: the order of arrival changes nothing.
    return Standing(Stage.CONFLICT, first, min(latest.values(), key=lambda each: each.created))


def _is_about(opinion: Revision, first: Revision, revisions: Sequence[Revision]) -> bool:
    """Tell whether it is another person's opinion on this mask, and not on an earlier one."""
    if opinion.provenance is not Provenance.CHECKED or opinion.author == first.author:
        return False
    if opinion.look is Shown.BLIND:
        return True
    judged = {each.digest for each in revisions if each.number in opinion.judges}
    return opinion.look is Shown.CONFIRM and first.digest in judged


def labeled_by(revisions: Sequence[Revision]) -> str | None:
    """Return the person whose mask a check of the frame is about, or None if there is none."""
    made = [each for each in standing_of(revisions) if each.look is Shown.LABEL]
    return max(made, key=lambda each: each.created).author if made else None


def is_audited(clip: Clip, frame: int, share: float = AUDIT_SHARE) -> bool:
    """Tell whether a key frame is drawn to be masked without any pre-label.

    The draw depends on the clip's source and the frame alone, so it is the same for everybody,
    and a frame that is drawn stays so when the share grows.
    """
    digest = hashlib.sha256(f"audit {clip.sha256} {clip.name} {frame}".encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
