"""One mask as it was recorded: whose it is, and when."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum

from labeler.errors import LabelerError


class Provenance(IntEnum):
    """How far a mask has come, in order. Everything above PREDICTED is a human's."""

    PREDICTED = 0
    CORRECTED = 1
    CHECKED = 2
    ACCEPTED = 3

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
    to 1. `digest` is the SHA-256 of the mask's pixels and `area` their number. `created` is UTC.
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

    def to_note(self) -> str:
        """The revision as JSON, to be kept inside its mask file; without its number."""
        fields = asdict(self) | {
            "provenance": self.provenance.name,
            "created": self.created.isoformat(),
        }
        del fields["number"]
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
    """The one of a frame's revisions that counts: the last person's, else the last; None of none.

    `revisions` are in order of their numbers.
    """
    human = [revision for revision in revisions if revision.provenance.human]
    candidates = human or revisions
    return candidates[-1] if candidates else None
