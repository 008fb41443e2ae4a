"""Records a person's correction of a key frame."""

from dataclasses import replace

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.mask import Mask, mask_digest
from labeler.revision import Draft, Provenance, Revision, counting, last_prediction
from labeler.workspace.workspace import Recorded, Workspace


class EmptyMaskError(LabelerError):
    """An empty mask would replace one that is not empty, and nobody has confirmed that."""


def record_correction(
    workspace: Workspace,
    clip: Clip,
    frame: int,
    mask: Mask,
    draft: Draft,
    *,
    allow_empty: bool = False,
) -> Recorded:
    """Record a person's mask of a key frame: CONFIRMED if it equals the prediction, else CORRECTED.

    Afterwards, `backend.work.preannotate.refresh` masks the frames that the correction affects.

    Args:
        workspace: where the clip is.
        clip: the clip.
        frame: the key frame.
        mask: the mask, H x W bool.
        draft: who made it, with which annotation and when; its provenance is set here.
        allow_empty: accept an empty mask, because nobody is in the frame.

    Raises:
        EmptyMaskError: an empty mask would follow a non-empty one and `allow_empty` is not set.
        LabelerError: the frame or the mask's size is wrong.
    """
    revisions = workspace.revisions(clip, frame)
    current, predicted = counting(revisions), last_prediction(revisions)
    overtaken = draft.submitted is not None and any(
        each.annotation == draft.annotation and each.created >= draft.submitted
        for each in revisions
    )
    if not mask.any() and not (allow_empty or overtaken):
        refuse_empty(clip, frame, current)
    confirmed = predicted is not None and predicted.digest == mask_digest(mask)
    provenance = Provenance.CONFIRMED if confirmed else Provenance.CORRECTED
    return workspace.append(clip, frame, mask, replace(draft, provenance=provenance))


def refuse_empty(clip: Clip, frame: int, present: Revision | None) -> None:
    """Refuse an empty mask of a key frame if its present mask is not empty.

    Raises:
        EmptyMaskError: the present mask is not empty.
    """
    if present is not None and present.area:
        raise EmptyMaskError(
            f"The given mask of {clip.name} frame {frame} is empty but its present one has "
            f"{present.area} pixels; nothing was changed. If nobody is in that frame, say so in "
            "its task, with --allow-empty, or on the status page."
        )
