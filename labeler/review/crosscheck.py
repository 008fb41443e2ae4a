"""The cross-check: records what a second and a third person say of a mask, and judges it."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import sqlalchemy as sa

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.mask import Mask
from labeler.review.correction import refuse_empty
from labeler.review.standing import (
    STRICT,
    Agreement,
    Stage,
    Standing,
    Thresholds,
    labeled_by,
    standing,
)
from labeler.revision import Draft, Provenance, Revision, Shown, counting
from labeler.workspace import tables
from labeler.workspace.workspace import Recorded, Workspace


class Preferred(StrEnum):
    """Which of two masks a third person prefers: the first person's or the second person's."""

    FIRST = "first"
    SECOND = "second"


def record_check(
    workspace: Workspace,
    clip: Clip,
    frame: int,
    mask: Mask,
    draft: Draft,
    thresholds: Thresholds = STRICT,
    *,
    allow_empty: bool = False,
) -> Standing:
    """Record a second person's check of a key frame; if the two people agree, accept the mask.

    Args:
        workspace: where the clip is.
        clip: the clip.
        frame: the key frame.
        mask: the second person's mask: the first person's, unchanged or repaired, or one made
            without seeing that.
        draft: who checked, with which annotation and when. `look` is what the person was shown:
            CONFIRM, BLIND or AUDIT, of which the last only measures. `judges` are the numbers of
            the masks that the person was shown; the default for CONFIRM is the one that counts now.
            A `reason` rejects the mask, and a third person has to decide.
        thresholds: the least agreement at which the mask is accepted.
        allow_empty: accept an empty mask, because nobody is in the frame. One that comes with a
            `reason` needs no such word.

    Returns:
        The standing of the frame after the check.

    Raises:
        EmptyMaskError: an empty mask would answer one that is not empty, without a word.
        LabelerError: that person has masked the frame, there is no person's mask to confirm, or
            the frame or the mask's size is wrong.
        ValueError: `look` is none of these.
    """
    if draft.look not in (Shown.CONFIRM, Shown.BLIND, Shown.AUDIT):
        raise ValueError(f"a check cannot have the look {draft.look.name}")
    revisions = workspace.revisions(clip, frame)
    if labeled_by(revisions) == draft.author:
        raise LabelerError(
            f"{draft.author} has masked {clip.name} frame {frame}; a check needs another person."
        )
    judges = draft.judges
    if draft.look is Shown.CONFIRM and not judges:
        judges = (_on_trial(clip, frame, standing(revisions)).number,)
    shown = [each for each in revisions if each.number in judges]
    if not mask.any() and not (allow_empty or draft.reason):
        refuse_empty(clip, frame, shown[0] if shown else counting(revisions))
    checked = replace(draft, provenance=Provenance.CHECKED, judges=judges)
    recorded = workspace.append(clip, frame, mask, checked)
    return accept_if_agreed(workspace, clip, frame, thresholds, recorded.revisions)


def accept_if_agreed(
    workspace: Workspace,
    clip: Clip,
    frame: int,
    thresholds: Thresholds = STRICT,
    revisions: Sequence[Revision] | None = None,
) -> Standing:
    """Accept a key frame's mask if two people agree on it; calling it again changes nothing.

    If the second person was shown the first mask and repaired it, the repaired mask is accepted,
    else the first person's mask.

    Args:
        workspace: where the clip is.
        clip: the clip.
        frame: the key frame.
        thresholds: the least agreement at which the mask is accepted.
        revisions: the frame's revisions, if the caller has just recorded one; None reads them. The
            next recording judges by all revisions again, so nothing is missed.

    Raises:
        LabelerError: the file of a mask is missing or damaged.
    """
    found = standing(workspace.revisions(clip, frame) if revisions is None else revisions)
    first, second = found.first, found.second
    if found.stage is not Stage.CONFLICT or first is None or second is None or second.reason:
        return found
    if not thresholds.met_by(agreement_of(workspace, first, second)):
        return found
    mask = workspace.read(second if second.look is Shown.CONFIRM else first)
    draft = Draft(second.author, look=second.look)
    return standing(_accept(workspace, clip, (first, second), mask, draft).revisions)


def accept_all_agreed(workspace: Workspace, clip: Clip, thresholds: Thresholds = STRICT) -> int:
    """Judge every frame of a clip that two people have masked; return how many frames agree."""
    agreed = 0
    for frame, revisions in workspace.revisions_by_frame(clip).items():
        if standing(revisions).stage is Stage.CONFLICT:
            found = accept_if_agreed(workspace, clip, frame, thresholds, revisions)
            agreed += found.stage is Stage.ACCEPTED
    return agreed


def decide(
    workspace: Workspace,
    clip: Clip,
    frame: int,
    person: str,
    verdict: Preferred | Mask,
    reason: str = "",
    annotation: str = "",
) -> Revision:
    """Record a third person's verdict on a frame in conflict; the verdict is final.

    Args:
        workspace: where the clip is.
        clip: the clip.
        frame: the key frame.
        person: who decides.
        verdict: which of the two masks is right, or a third mask.
        reason: why the person decides so.
        annotation: the name of the annotation by which they say it; it can be withdrawn.

    Returns:
        The accepted mask.

    Raises:
        LabelerError: the frame is in no conflict, that person has looked at it before, or the
            mask is damaged or of another size.
    """
    found = standing(workspace.revisions(clip, frame))
    if found.stage is not Stage.CONFLICT or found.first is None or found.second is None:
        raise LabelerError(
            f"{clip.name} frame {frame} is in no conflict (it is {found.stage.value}); "
            "`mvps review list` shows those that are."
        )
    if person in (found.first.author, found.second.author):
        raise LabelerError(
            f"{person} has masked or checked {clip.name} frame {frame}; a third person decides."
        )
    pair = found.first, found.second
    if isinstance(verdict, Preferred):
        verdict = workspace.read(pair[0] if verdict is Preferred.FIRST else pair[1])
    draft = Draft(person, annotation=annotation, look=Shown.DECIDE, reason=reason)
    return _accept(workspace, clip, pair, verdict, draft).revision


def agreement_of(workspace: Workspace, first: Revision, second: Revision) -> Agreement:
    """Compute how alike two masks of a frame are, once for the same pixels.

    Raises:
        LabelerError: the file of a mask is missing or damaged.
    """
    if first.digest == second.digest:
        return Agreement(1.0, 1.0)
    table = tables.agreements
    key = {"first": first.digest, "second": second.digest}
    with workspace.database.reading() as connection:
        row = connection.execute(sa.select(table).filter_by(**key)).first()
    if row is not None:
        return Agreement(row.region, row.boundary)
    found = Agreement.of(workspace.read(first), workspace.read(second))
    with workspace.database.writing() as connection:
        connection.execute(sa.delete(table).filter_by(**key))  # another process may have stored it
        connection.execute(sa.insert(table).values(**key, **vars(found)))
    return found


def _on_trial(clip: Clip, frame: int, found: Standing) -> Revision:
    if found.first is None or not found.first.provenance.human:
        raise LabelerError(
            f"Nobody has masked {clip.name} frame {frame} yet, so there is nothing to check; "
            "correct it first."
        )
    if found.stage is Stage.ACCEPTED:
        raise LabelerError(
            f"{clip.name} frame {frame} is accepted already; a correction (`mvps correct`) "
            "makes it open to a check again."
        )
    return found.first


def _accept(
    workspace: Workspace,
    clip: Clip,
    pair: tuple[Revision, Revision],
    mask: Mask,
    draft: Draft,
) -> Recorded:
    """Record the accepted mask that results from the two masks that were compared."""
    first, second = pair
    accepted = replace(
        draft,
        provenance=Provenance.ACCEPTED,
        submitted=first.created,  # what was submitted after it is judged anew
        judges=(first.number, second.number),
    )
    return workspace.append(clip, first.frame, mask, accepted)
