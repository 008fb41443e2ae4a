"""A person's mask comes in; it is recorded before anything else happens."""

from datetime import datetime

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.mask import Mask, mask_digest
from labeler.revision import Provenance, Revision, last_prediction
from labeler.workspace.workspace import Workspace


class EmptyMaskError(LabelerError):
    """An empty mask would follow one that is not, and nobody has said that this is right."""


def record_correction(
    workspace: Workspace,
    clip: Clip,
    frame: int,
    mask: Mask,
    author: str,
    *,
    allow_empty: bool = False,
    annotation: str = "",
    submitted: datetime | None = None,
) -> Revision:
    """Record a person's mask of a key frame: CONFIRMED if it is the prediction's, else CORRECTED.

    Afterwards `backend.work.preannotate.refresh` masks the frames that it can help.

    Args:
        workspace: where the clip is.
        clip: the clip.
        frame: the key frame.
        mask: the mask.
        author: who made it.
        allow_empty: nobody is in the frame, and that is right.
        annotation: the annotation it came with, if any.
        submitted: when; now, where nothing is said.

    Raises:
        EmptyMaskError: an empty mask would follow a non-empty one and `allow_empty` is not set.
        LabelerError: the frame or the mask's size is wrong.
    """
    revisions = workspace.revisions(clip, frame)
    current = workspace.current(clip).get(frame)
    overtaken = submitted is not None and any(
        each.annotation == annotation and each.created >= submitted for each in revisions
    )
    if not mask.any() and current is not None and current.area and not (allow_empty or overtaken):
        raise EmptyMaskError(
            f"The given mask of {clip.name} frame {frame} is empty but its present one has "
            f"{current.area} pixels; nothing was changed. If nobody is in that frame, say so: "
            "with --allow-empty, or on the status page."
        )
    predicted = last_prediction(revisions)
    confirmed = predicted is not None and predicted.digest == mask_digest(mask)
    return workspace.record(
        clip,
        frame,
        mask,
        author=author,
        provenance=Provenance.CONFIRMED if confirmed else Provenance.CORRECTED,
        annotation=annotation,
        submitted=submitted,
    )
