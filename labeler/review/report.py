"""The state of the cross-check: who waits for whom, who agrees with whom, what audits say."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from labeler.clip import Clip
from labeler.review.crosscheck import agreement_of
from labeler.review.standing import Agreement, Stage, standing
from labeler.revision import Provenance, Revision, Shown, counting, last_prediction, standing_of
from labeler.workspace.workspace import Workspace


@dataclass(frozen=True)
class ReviewedFrame:
    """A key frame that a person has masked, and how far its cross-check is.

    `first` made the mask and `second` checked it, "" where nobody has yet; `agreement` is between
    their masks, and `agreed` whether that was enough, and no third person was needed. `look` is
    what the second was shown and `reason` what they or a third person said.
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
    """The agreement of some pairs of masks: how many there are, how many agree, mean J and F."""

    masks: int
    agreed: int
    region: float
    boundary: float


@dataclass(frozen=True)
class Audit:
    """What masks that were made without any pre-label say of those that were made with one.

    All are means of J over `frames`. `labeled` is of the mask that counts with the prediction its
    maker was shown, `audited` of the auditor's mask with the same prediction, and `between` of
    the two people's masks. A `labeled` above `audited` is what pre-labels do to judgement.
    """

    frames: int
    labeled: float
    audited: float
    between: float

    @property
    def bias(self) -> float:
        """By how much the masks are nearer to the predictions than those of auditors."""
        return self.labeled - self.audited


@dataclass(frozen=True)
class ReviewReport:
    """The state of the cross-check of a workspace; a tally for each clip and each two people."""

    frames: tuple[ReviewedFrame, ...]
    by_clip: dict[str, Tally]
    by_pair: dict[tuple[str, str], Tally]
    audit: Audit | None

    def at(self, *stages: Stage) -> list[ReviewedFrame]:
        """The frames that are so far."""
        return [each for each in self.frames if each.stage in stages]


def review_report(workspace: Workspace) -> ReviewReport:
    """Look through a workspace's cross-check; nothing is changed.

    Raises:
        LabelerError: the file of a mask is missing or damaged.
    """
    frames, audits = [], []
    for clip in workspace.clips():
        for revisions in workspace.revisions_by_frame(clip).values():
            found = _reviewed(workspace, clip, revisions)
            if found is not None:
                frames.append(found)
            audits += list(_audited(workspace, revisions))
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
    )


def _reviewed(
    workspace: Workspace, clip: Clip, revisions: Sequence[Revision]
) -> ReviewedFrame | None:
    now = standing(revisions)
    first, second = now.first, now.second
    if first is None or not first.provenance.human:
        return None
    reason = "" if second is None else second.reason
    agreed = now.stage is Stage.ACCEPTED and first.look is not Shown.DECIDE
    if now.stage is Stage.ACCEPTED and len(first.judges) == 2:
        by_number = {each.number: each for each in revisions}
        reason = first.reason
        first, second = (by_number[number] for number in first.judges)
    if second is None:
        return ReviewedFrame(clip.name, first.frame, now.stage, first.author)
    return ReviewedFrame(
        clip.name,
        first.frame,
        now.stage,
        first.author,
        second.author,
        second.look,
        agreement_of(workspace, first, second),
        agreed,
        reason,
    )


def _audited(
    workspace: Workspace, revisions: Sequence[Revision]
) -> Iterator[tuple[float, float, float]]:
    """J of a frame's mask with its prediction, of an auditor's with it, and of the two."""
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
