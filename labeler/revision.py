"""One mask as it was recorded: whose it is, and when."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum

from labeler.errors import LabelerError


class Provenance(IntEnum):
    """How far a mask has come, in order. Everything above PREDICTED is a human's.

    CONFIRMED is a prediction that a person looked at and submitted as it was.
    """

    PREDICTED = 0
    CONFIRMED = 1
    CORRECTED = 2
    CHECKED = 3
    ACCEPTED = 4

    @property
    def human(self) -> bool:
        """Whether a person stands behind the mask; no job may change such a one."""
        return self is not Provenance.PREDICTED


@dataclass(frozen=True)
class Revision:
    """One recorded mask of one frame; never changed, only followed by the next.

    `number` counts from 1 within the frame and names the file. `author` is a person, or "" for a
    network, which `model_version` names. `references` is the digest of the references a
    prediction was made with (see ReferenceBook.digest_for) and `uncertainty` its uncertainty, 0
    to 1. `digest` is the SHA-256 of the mask's pixels and `area` their number. `created` is when
    the mask was submitted or predicted, in UTC. `annotation` names the annotation that a person's
    mask came with, "" where it came otherwise. `withdrawn` is whether that person took it back:
    then it stays, but counts no more.
    """

    clip: str
    frame: int
    number: int
    provenance: Provenance
    author: str
    model_version: str
    references: str
    uncertainty: float | None
    digest: str
    area: int
    created: datetime
    annotation: str = ""
    withdrawn: bool = False

    def to_note(self) -> str:
        """The revision as JSON, to be kept inside its mask file; without what comes later."""
        fields = asdict(self) | {
            "provenance": self.provenance.name,
            "created": self.created.isoformat(),
        }
        del fields["number"], fields["withdrawn"]
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_note(cls, note: str, number: int) -> "Revision":
        """The revision that a mask file's note tells of.

        Raises:
            LabelerError: the note is not one that `to_note` wrote.
        """
        try:
            fields = json.loads(note)
            fields["provenance"] = Provenance[fields["provenance"]]
            fields["created"] = datetime.fromisoformat(fields["created"])
            return cls(number=number, **fields)
        except (ValueError, KeyError, TypeError) as error:
            raise LabelerError(f"The note in a mask file is not ours: {error}.") from None


def counting(revisions: Sequence[Revision]) -> Revision | None:
    """The one of a frame's revisions that counts; None of none.

    It is the mask that a person submitted last, by the time of submission and not of arrival, so
    that late news change nothing; else the last prediction. `revisions` are in order of number.
    """
    human = [each for each in revisions if each.provenance.human and not each.withdrawn]
    if human:
        return max(human, key=lambda each: (each.created, each.annotation, each.number))
    return last_prediction(revisions)


def last_prediction(revisions: Sequence[Revision]) -> Revision | None:
    """The newest of a frame's masks that a network made; None of none."""
    predicted = [each for each in revisions if not each.provenance.human]
    return predicted[-1] if predicted else None


def recorded(
    draft: Revision, earlier: Sequence[Revision], latest: Revision | None
) -> Revision | None:
    """The revision that a person's mask has already, if it has one.

    Args:
        draft: the mask, not yet numbered.
        earlier: the revisions of its frame, in order of number.
        latest: the one of them that counts.
    """
    if not draft.provenance.human:
        return None
    if draft.annotation:
        state = (draft.annotation, draft.created)
        return next((r for r in earlier if (r.annotation, r.created) == state), None)
    if latest is None or (latest.digest, latest.author, latest.provenance) != (
        draft.digest,
        draft.author,
        draft.provenance,
    ):
        return None
    return latest
