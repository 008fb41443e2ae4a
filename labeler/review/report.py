"""Reports the state of the cross-check: open checks, agreement of people, results of audits."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.review.crosscheck import agreement_of
from labeler.review.standing import Agreement, Stage, standing
from labeler.revision import Provenance, Revision, Shown, counting, last_prediction, standing_of
from labeler.workspace.tables import DatabaseAwayError
from labeler.workspace.workspace import Workspace


@dataclass(frozen=True)
class ReviewedFrame:
    """A key frame that a person has masked, and how far its cross-check is.

    `first` is the person who made the mask, and `second` the one who checked it, "" if nobody has
    yet. `agreement` is that of their two masks, and `agreed` says whether it was enough without a
    third person. `look` is what the second person was shown, and `reason` what the second or third
    person said.
    """

    clip: str
    frame: int
    stage: Stage
    first: str
    second: str = ""
    look: Shown | None = None
    agreement: Agreement | None = None
    agreed: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Tally:
    """The agreement of some pairs of masks: number of pairs, number that agree, mean J and F."""

    masks: int
    agreed: int
    region: float
    boundary: float


@dataclass(frozen=True)
class Audit:
    """A comparison of masks made without a pre-label with masks made with one.

    All values are means of J over `frames`. `labeled` compares the mask that counts with the
    prediction that its maker was shown, `audited` the auditor's mask with the same prediction, and
    `between` the masks of the two people. If `labeled` is above `audited`, the pre-labels have
    influenced the people.
    """

    frames: int
    labeled: float
    audited: float
    between: float

    @property
    def bias(self) -> float:
        """How much nearer the masks are to the predictions than the auditors' masks are."""
        return self.labeled - self.audited


@dataclass(frozen=True)
class ReviewReport:
    """The state of a workspace's cross-check, with a tally per clip and per pair of people.

    `faults` are sentences on masks that could not be compared, because a file is damaged. Their
    frames have no agreement and count in no tally.
    """

    frames: tuple[ReviewedFrame, ...]
    by_clip: dict[str, Tally]
    by_pair: dict[tuple[str, str], Tally]
    audit: Audit | None
    faults: tuple[str, ...] = ()

    def at(self, *stages: Stage) -> list[ReviewedFrame]:
        """List the frames that are at one of these stages."""
        return [each for each in self.frames if each.stage in stages]


def review_report(workspace: Workspace) -> ReviewReport:
    """Report the state of a workspace's cross-check; nothing is changed.

    A mask whose file is missing or damaged costs only its own frame's agreement.
    """
    frames, audits = [], []
    faults: dict[str, None] = {}  # each once, in order
    for clip in workspace.clips():
        for revisions in workspace.revisions_by_frame(clip).values():
            found, pair = _reviewed(clip, revisions)
            try:
                if found is not None and pair is not None:
                    found = replace(found, agreement=agreement_of(workspace, *pair))
                audits += list(_audited(workspace, revisions))
            except DatabaseAwayError:
                raise
            except LabelerError as error:
                faults[str(error)] = None
            if found is not None:
                frames.append(found)
    checked = [each for each in frames if each.agreement is not None]
    by_clip, by_pair = defaultdict(list), defaultdict(list)
    for each in checked:
        by_clip[each.clip].append(each)
        by_pair[each.first, each.second].append(each)
    return ReviewReport(
        tuple(frames),
        {name: _tally(group) for name, group in sorted(by_clip.items())},
        {pair: _tally(group) for pair, group in sorted(by_pair.items())},
        Audit(len(audits), *np.mean(audits, axis=0).tolist()) if audits else None,
        tuple(faults),
    )


def _reviewed(
    clip: Clip, revisions: Sequence[Revision]
) -> tuple[ReviewedFrame | None, tuple[Revision, Revision] | None]:
    """Return a frame's state, without its agreement, and the two masks to compare, if any."""
    now = standing(revisions)
    first, second = now.first, now.second
    if first is None or not first.provenance.human:
        return None, None
    reason = "" if second is None else second.reason
    agreed = now.stage is Stage.ACCEPTED and first.look is not Shown.DECIDE
    if now.stage is Stage.ACCEPTED and len(first.judges) == 2:
        by_number = {each.number: each for each in revisions}
        reason = first.reason
        first, second = (by_number[number] for number in first.judges)
    if second is None:
        return ReviewedFrame(clip.name, first.frame, now.stage, first.author), None
    reviewed = ReviewedFrame(
        clip.name,
        first.frame,
        now.stage,
        first.author,
        second.author,
        second.look,
        agreed=agreed,
        reason=reason,
    )
    return reviewed, (first, second)


def _audited(
    workspace: Workspace, revisions: Sequence[Revision]
) -> Iterator[tuple[float, float, float]]:
    """Yield J of mask and prediction, of auditor's mask and prediction, and of both masks."""
    counts = counting(revisions)
    if counts is None or not counts.provenance.human:
        return
    made = [
        each
        for each in standing_of(revisions)
        if each.look is Shown.LABEL and each.provenance is not Provenance.CHECKED
    ]
    first = max(made, key=lambda each: each.created, default=None)
    shown = last_prediction([r for r in revisions if first and r.number < first.number])
    if first is None or shown is None:
        return
    for each in standing_of(revisions):
        if each.look in (Shown.AUDIT, Shown.BLIND) and each.author != first.author:
            pairs = (first, shown), (each, shown), (first, each)
            labeled, audited, between = (agreement_of(workspace, *pair).region for pair in pairs)
            yield labeled, audited, between


def _tally(frames: Sequence[ReviewedFrame]) -> Tally:
    found = [each.agreement for each in frames if each.agreement is not None]
    return Tally(
        len(found),
        sum(each.agreed for each in frames),
        float(np.mean([each.region for each in found])),
        float(np.mean([each.boundary for each in found])),
    )
