"""One mask as it was recorded: whose it is, and when."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from labeler.errors import LabelerError


class Provenance(IntEnum):
    """How far a mask has come, in order. Everything above PREDICTED is a human's.

    CONFIRMED is a prediction that a person looked at and submitted as it was. CHECKED is what a
    second person says of a frame; it counts through the ACCEPTED mask that comes of it.
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


class Shown(StrEnum):
    """What a person was shown when they made a mask.

    LABEL is the frame with a prediction. A second person sees the first one's mask (CONFIRM) or
    no mask at all (BLIND; AUDIT if it is only to measure). DECIDE is the third look at two.
    """

    LABEL = "label"
    CONFIRM = "confirm"
    BLIND = "blind"
    AUDIT = "audit"
    DECIDE = "decide"


@dataclass(frozen=True)
class Draft:
    """What is to be recorded with a mask of a key frame; the fields mean what a Revision's do.

    A person's has an `author`, and a network's `model_version`, `references` and `uncertainty`.
    `submitted` is when it was submitted or predicted; None is now.
    """

    author: str = ""
    provenance: Provenance = Provenance.CORRECTED
    annotation: str = ""
    submitted: datetime | None = None
    look: Shown = Shown.LABEL
    judges: tuple[int, ...] = ()
    reason: str = ""
    model_version: str = ""
    references: str = ""
    uncertainty: float | None = None


@dataclass(frozen=True)
class Revision:
    """One recorded mask of one frame; never changed, only followed by the next.

    `number` counts from 1 within the frame and names the file. `author` is a person, or "" for a
    network, which `model_version` names. `references` is the digest of the references a
    prediction was made with (see ReferenceBook.digest_for) and `uncertainty` its uncertainty, 0
    to 1. `digest` is the SHA-256 of the mask's pixels and `area` their number. `created` is when
    the mask was submitted or predicted, in UTC. `annotation` names the annotation that a person's
    mask came with, "" where it came otherwise. `withdrawn` is whether that person took it back:
    then it stays, but counts no more. `judges` are the numbers of the frame's masks that a later
    look was about, and `reason` is what was said of them; a CHECKED mask with one is a rejection.
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
    look: Shown = Shown.LABEL
    judges: tuple[int, ...] = ()
    reason: str = ""

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
            fields["look"] = Shown(fields.get("look", Shown.LABEL))
            fields["judges"] = tuple(fields.get("judges", ()))
            return cls(number=number, **fields)
        except (ValueError, KeyError, TypeError) as error:
            raise LabelerError(f"The note in a mask file is not ours: {error}.") from None


def counting(revisions: Sequence[Revision]) -> Revision | None:
    """The one of a frame's revisions that counts; None of none.

    It is the mask that a person submitted last, by the time of submission and not of arrival, so
    that late news change nothing; else the last prediction. An accepted mask is as old as the one
    that was judged, so that whatever was submitted after that one counts and is judged anew; it
    counts as long as all stand that it judges. `revisions` are in order of number.
    """
    standing = {each.number for each in standing_of(revisions)}
    human = [
        each
        for each in revisions
        if each.provenance.human
        and each.provenance is not Provenance.CHECKED
        and not each.withdrawn
        and standing.issuperset(each.judges)
    ]
    if human:
        return max(human, key=_submission)
    return last_prediction(revisions)


def standing_of(revisions: Iterable[Revision]) -> list[Revision]:
    """Those of a frame's human masks that nobody has taken back or replaced by saying otherwise.

    Of one annotation only its newest state stands, and earlier ones that say the same.
    """
    human = [each for each in revisions if each.provenance.human and not each.withdrawn]
    newest: dict[str, Revision] = {}
    for each in sorted(human, key=_submission):
        newest[each.annotation] = each
    return [
        each
        for each in human
        if not each.annotation
        or (each.digest, each.reason)
        == (newest[each.annotation].digest, newest[each.annotation].reason)
    ]


def _submission(revision: Revision) -> tuple[datetime, bool, str, int]:
    accepted = revision.provenance is Provenance.ACCEPTED
    return revision.created, accepted, revision.annotation, revision.number


def last_prediction(revisions: Sequence[Revision]) -> Revision | None:
    """The newest of a frame's masks that a network made; None of none."""
    predicted = [each for each in revisions if not each.provenance.human]
    return predicted[-1] if predicted else None


def already_recorded(news: Revision, earlier: Sequence[Revision]) -> Revision | None:
    """The revision that stands in the place of a mask which is not to be recorded, if one does.

    That is a person's mask where `news` is a prediction, and where it is a person's, the same
    state of the same annotation, or without one the same mask with nothing else said of it.

    Args:
        news: the mask, not yet numbered.
        earlier: the revisions of its frame, in order of number.
    """
    latest = counting(earlier)
    if not news.provenance.human:
        return latest if latest is not None and latest.provenance.human else None
    if news.annotation:
        state = (news.annotation, news.created)
        return next((r for r in earlier if (r.annotation, r.created) == state), None)
    if news.provenance is Provenance.CHECKED:  # which never counts by itself
        latest = next((r for r in reversed(earlier) if r.look is news.look), None)
    return None if latest is None or _said(latest) != _said(news) else latest


def _said(revision: Revision) -> tuple[object, ...]:
    """What a person says by a mask."""
    told = revision.digest, revision.author, revision.provenance
    return *told, revision.look, revision.judges, revision.reason
