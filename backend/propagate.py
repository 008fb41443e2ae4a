"""A person's mask comes in; it is recorded before anything else happens."""

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.mask import Mask
from labeler.revision import Revision
from labeler.workspace import Workspace


def record_correction(
    workspace: Workspace,
    clip: Clip,
    frame: int,
    mask: Mask,
    author: str,
    *,
    allow_empty: bool = False,
) -> Revision:
    """Record a person's mask of a key frame, as a submitted annotation would.

    Afterwards `backend.preannotate.refresh` masks the frames that it can help.

    Raises:
        LabelerError: an empty mask would follow a non-empty one and `allow_empty` is not set; or
            the frame or the mask's size is wrong.
    """
    current = workspace.current(clip).get(frame)
    if not mask.any() and current is not None and current.area and not allow_empty:
        raise LabelerError(
            f"The given mask of {clip.name} frame {frame} is empty but its present one has "
            f"{current.area} pixels; nothing was changed. If nobody is in that frame, say so "
            "with --allow-empty."
        )
    return workspace.record(clip, frame, mask, author=author)
