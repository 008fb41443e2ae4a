"""Revisions: recorded masks with author, time and provenance, and which of them counts."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from labeler.errors import LabelerError
from labeler.text.valid import NAME_LENGTH, REMARK_LENGTH, valid_text

_TEXTS = {
    "author": NAME_LENGTH,
    "annotation": NAME_LENGTH,
    "model_version": NAME_LENGTH,
    "reason": REMARK_LENGTH,
}
"""What people and other programs write, and how much of it is kept."""


class Provenance(IntEnum):
    """Where a mask comes from, in ascending order; all but PREDICTED come from a person.

    CONFIRMED is a prediction that a person looked at and submitted without a change. CHECKED is
    the mask of a second person, who checks the frame; it never counts by itself, only through the
    ACCEPTED mask that may follow.
    """

    PREDICTED = 0
    CONFIRMED = 1
    CORRECTED = 2
    CHECKED = 3
    ACCEPTED = 4

    @property
    def human(self) -> bool:
        """Whether a person made or confirmed the mask; no job may replace such a mask."""
        return self is not Provenance.PREDICTED


class Shown(StrEnum):
    """What a person was shown when they made a mask.

    LABEL: the frame with a prediction. CONFIRM: a second person is shown the first one's mask.
    BLIND: a second person is shown no mask. AUDIT: as BLIND, but only to measure the effect of
    pre-labels. DECIDE: a third person is shown both masks.
    """

    LABEL = "label"
    CONFIRM = "confirm"
    BLIND = "blind"
    AUDIT = "audit"
    DECIDE = "decide"


@dataclass(frozen=True)
class Draft:
    """The data to record with a mask of a key frame; the fields mean the same as in Revision.

    The draft of a person's mask has an `author`; the draft of a prediction has `model_version`,
    `references` and `uncertainty`. `submitted` is the time of submission or prediction; None means
    now.
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
    lead_time: float | None = None

    def __post_init__(self) -> None:
        """Make valid what comes from outside; every mask that a person makes passes here."""
        for name, longest in _TEXTS.items():
            object.__setattr__(self, name, valid_text(getattr(self, name), longest))


@dataclass(frozen=True)
class Revision:
    """One recorded mask of one frame; it is never changed, only followed by a newer revision.

    `number` counts from 1 within the frame and names the file. `author` is a person, or "" for a
    network, which `model_version` names. `references` is the digest of the references a
    prediction was made with (see ReferenceBook.digest_for) and `uncertainty` its uncertainty, 0
    to 1. `digest` is the SHA-256 of the mask's pixels and `area` their number. `created` is when
    the mask was submitted or predicted, in UTC. `annotation` names the Label Studio annotation that
    a person's mask came from, "" if there was none. `withdrawn` says whether that person took the
    mask back: then it stays on disk but no longer counts. `look` is what the person was shown.
    `judges` are the numbers of the frame's revisions that a check or a decision is about, and
    `reason` is what was said about them; a CHECKED mask with a reason is a rejection. `lead_time`
    is how many seconds the person had the task open, in all, up to this state of the annotation;
    None if it is not known.
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
    lead_time: float | None = None

    def to_note(self) -> str:
        """Return the revision as JSON for its mask file, without the fields that are set later."""
        fields = asdict(self) | {
            "provenance": self.provenance.name,
            "created": self.created.isoformat(),
        }
        del fields["number"], fields["withdrawn"]
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_note(cls, note: str, number: int) -> "Revision":
        """Read a revision from the note in its mask file.

        Raises:
            LabelerError: the note is not one that `to_note` wrote.
        """
        try:
            fields = json.loads(note)
            fields["provenance"] = Provenance[fields["provenance"]]
            fields["created"] = datetime.fromisoformat(fields["created"])
            fields["look"] = Shown(fields.get("look", Shown.LABEL))
            fields["judges"] = tuple(fields.get("judges", ()))
            for name, longest in _TEXTS.items():
                fields[name] = valid_text(fields.get(name, ""), longest)
            return cls(number=number, **fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LabelerError(f"The note in a mask file is not ours: {error}.") from None


def counting(revisions: Sequence[Revision]) -> Revision | None:
    """Return the revision of a frame that counts, or None if there is none.

    It is the mask that a person submitted last, by the time of submission and not of arrival, so
    that a late message changes nothing; without a person's mask it is the last prediction. An
    accepted mask carries the time of the first person's mask that was judged. So a mask that was
    submitted after that one counts, and is checked again. An accepted mask counts as long as all
    revisions that it judges stand (see `standing_of`). `revisions` are in order of number.
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
    """Return a frame's human masks that were neither withdrawn nor replaced.

    If an annotation has several states, the newest one stands, and earlier ones with the same mask
    and the same reason.
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
    """Return the newest of a frame's masks that a network made, or None if there is none."""
    predicted = [each for each in revisions if not each.provenance.human]
    return predicted[-1] if predicted else None


def already_recorded(news: Revision, earlier: Sequence[Revision]) -> Revision | None:
    """Return the revision that makes it unnecessary to record `news`, or None if there is none.

    For a prediction, that is a person's mask. For a person's mask that came from an annotation, it
    is the same state of the same annotation. For one without an annotation, and for an ACCEPTED
    one, which has the time of the mask that it is about, it is the mask that counts now (for a
    CHECKED mask, the last one with the same look), if both say the same.

    Args:
        news: the mask, not yet numbered.
        earlier: the revisions of its frame, in order of number.
    """
    latest = counting(earlier)
    if not news.provenance.human:
        return latest if latest is not None and latest.provenance.human else None
    if news.annotation and news.provenance is not Provenance.ACCEPTED:
        state = (news.annotation, news.created)
        return next((r for r in earlier if (r.annotation, r.created) == state), None)
    if news.provenance is Provenance.CHECKED:  # it never counts by itself
        latest = next((r for r in reversed(earlier) if r.look is news.look), None)
    return None if latest is None or _said(latest) != _said(news) else latest


def _said(revision: Revision) -> tuple[object, ...]:
    """Return everything that a person says with a mask."""
    told = revision.digest, revision.author, revision.provenance
    return *told, revision.look, revision.judges, revision.reason
