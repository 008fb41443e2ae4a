"""Turns the events of Label Studio into masks in the workspace."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from backend.store import tables
from backend.store.inbox import DELETED, Event, EventState, Inbox
from backend.studio.annotation import (
    NOBODY,
    AnnotatedMask,
    Opinion,
    decision_of,
    lead_time,
    opinion_of,
)
from backend.studio.client import StudioAwayError, StudioDownError
from backend.studio.projects import Role, roles
from backend.work.verified import Annotations, NotYetError, time_of, verified
from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.mask import Mask, mask_digest
from labeler.metrics import region_similarity
from labeler.review.correction import EmptyMaskError, record_correction
from labeler.review.crosscheck import (
    Preferred,
    accept_all_agreed,
    accept_if_agreed,
    decide,
    record_check,
)
from labeler.review.standing import STRICT, Stage, Thresholds, standing
from labeler.revision import Draft, Revision, Shown, last_prediction
from labeler.workspace.tables import DatabaseAwayError
from labeler.workspace.troubles import Troubles
from labeler.workspace.workspace import Workspace

logger = logging.getLogger(__name__)


class Submissions:
    """Takes events up: what a person submitted is recorded, what they deleted is withdrawn.

    An event may come twice, late, or before an earlier one: the outcome is the same.

    Args:
        workspace: where masks are recorded.
        inbox: where events are kept.
        author_of: the name of a user by number.
        thresholds: the least agreement of two people at which a mask is accepted.
        source: where annotations are read before they are recorded; without it, what the webhook
            says is believed.
    """

    def __init__(
        self,
        workspace: Workspace,
        inbox: Inbox,
        author_of: Callable[[int], str],
        thresholds: Thresholds = STRICT,
        source: Annotations | None = None,
    ) -> None:
        self._workspace, self._inbox, self._author_of = workspace, inbox, author_of
        self._thresholds, self._source = thresholds, source
        self._troubles = Troubles(workspace.database)

    def take_all(self) -> set[str]:
        """Take up every pending event, and return the clips whose references may have changed.

        What cannot be taken up now stays pending; what it is about is told as a trouble, until it
        succeeds. If Label Studio is down, all of it waits.
        """
        clips: set[str] = set()
        for event in self._inbox.pending():
            item = f"annotation {event.annotation}"
            try:
                clips |= self.take(event)
            except NotYetError as error:
                logger.info("event %d waits: %s", event.id, error)
            except StudioDownError as error:
                logger.warning("submissions wait: %s", error)
                break
            except StudioAwayError as error:
                logger.warning("event %d waits: %s", event.id, error)
                self._troubles.tell("take", item, str(error), "it is tried again and again")
            except (OSError, DatabaseAwayError, sa.exc.SQLAlchemyError):
                logger.exception("event %d could not be taken up now", event.id)  # a full disk, say
            except Exception as error:  # an unforeseen event must not stop the others
                logger.exception("event %d could not be taken up", event.id)
                self._inbox.settle(event, EventState.REFUSED, f"{type(error).__name__}: {error}")
            else:
                self._troubles.solved("take", item)
        return clips

    def take(self, event: Event) -> set[str]:
        """Take up one event, and return the clips whose references may have changed.

        What cannot be read as a mask is refused with the reason, and kept. An empty mask for a
        frame whose mask is not empty waits until a person confirms it.

        Raises:
            NotYetError, StudioAwayError: it cannot be read from Label Studio now.
            DatabaseAwayError: it cannot be recorded now.
        """
        try:
            if self._source is not None:
                true = verified(event, self._inbox, self._source, datetime.now(UTC))
                if true is None:
                    return set()
                event = true
            return self._withdraw(event) if event.action == DELETED else self._record(event)
        except EmptyMaskError as error:
            self._inbox.settle(event, EventState.ASKING, str(error))
        except (NotYetError, StudioAwayError, DatabaseAwayError):
            raise
        except LabelerError as error:
            logger.warning("event %d refused: %s", event.id, error)
            self._inbox.settle(event, EventState.REFUSED, str(error))
        return set()

    @property
    def waits(self) -> bool:
        """Whether there are events to take up; those that could not be taken up count, too."""
        counts = self._inbox.counted()
        return any(counts.get(each) for each in (EventState.PENDING, EventState.CONFIRMED))

    def accept_agreed(self, clip: Clip) -> None:
        """Accept the masks of a clip on which two people agree and no verdict was recorded."""
        accept_all_agreed(self._workspace, clip, self._thresholds)

    def _record(self, event: Event) -> set[str]:
        annotation = event.body.get("annotation")
        if annotation is None:
            raise LabelerError("The stored annotation is damaged; submit it again.")
        if annotation.get("was_cancelled"):
            self._inbox.settle(event, EventState.DONE, "skipped by the annotator")
            return set()
        clip = self._workspace.clip(event.clip)
        name = _name(annotation)
        submitted = time_of(event)
        role = roles(self._workspace).get(event.project, Role.LABELING)
        if role is Role.DECIDE:
            return self._record_decision(event, annotation, clip, name, submitted)
        if role is not Role.LABELING:
            return self._record_opinion(event, annotation, clip, name, submitted)
        opinion = opinion_of(annotation.get("result"), clip.height, clip.width)
        mask = self._mask_of(opinion, clip, event.frame)
        withdrawn = self._is_deleted(event, name, clip, submitted)
        revisions = record_correction(
            self._workspace,
            clip,
            event.frame,
            mask,
            Draft(
                self._author_of(_user(annotation)),
                annotation=name,
                submitted=submitted,
                lead_time=lead_time(annotation),
            ),
            allow_empty=withdrawn or opinion.nobody or event.state is EventState.CONFIRMED,
        ).revisions
        quality = self._prelabel_quality(revisions, mask)
        if withdrawn:
            self._workspace.withdraw(clip, event.frame, name)
            revisions = self._workspace.revisions(clip, event.frame)
        # A second person who is shown no mask may have submitted before the first one.
        accept_if_agreed(self._workspace, clip, event.frame, self._thresholds, revisions)
        self._inbox.settle(event, EventState.DONE, _ignored(opinion.found), quality)
        return {clip.name}

    def _record_opinion(
        self, event: Event, annotation: dict[str, Any], clip: Clip, name: str, submitted: datetime
    ) -> set[str]:
        """Record what a second person says of a frame."""
        opinion = opinion_of(annotation.get("result"), clip.height, clip.width)
        look, judges = _shown(event)
        withdrawn = self._is_deleted(event, name, clip, submitted)
        draft = Draft(
            self._author_of(_user(annotation)),
            annotation=name,
            submitted=submitted,
            look=look,
            judges=judges,
            reason=opinion.reason,
            lead_time=lead_time(annotation),
        )
        record_check(
            self._workspace,
            clip,
            event.frame,
            self._mask_of(opinion, clip, event.frame),
            draft,
            self._thresholds,
            allow_empty=withdrawn or opinion.nobody or event.state is EventState.CONFIRMED,
        )
        if withdrawn:
            self._workspace.withdraw(clip, event.frame, name)
        self._inbox.settle(event, EventState.DONE, _ignored(opinion.found))
        return {clip.name}

    def _record_decision(
        self, event: Event, annotation: dict[str, Any], clip: Clip, name: str, submitted: datetime
    ) -> set[str]:
        """Record which of two masks a third person finds right; they may change their mind."""
        verdict, reason = decision_of(annotation.get("result"))
        person = self._author_of(_user(annotation))
        if self._is_deleted(event, name, clip, submitted) or self._has_said(
            clip, event.frame, name, verdict
        ):
            self._inbox.settle(event, EventState.DONE)
            return set()
        self._workspace.withdraw(clip, event.frame, name)  # what this annotation said before
        found = standing(self._workspace.revisions(clip, event.frame))
        pair = [None if each is None else each.number for each in (found.first, found.second)]
        data = event.body.get("data", {})
        if found.stage is Stage.CONFLICT and pair != [data.get("first"), data.get("second")]:
            raise LabelerError(
                f"The masks of {clip.name} frame {event.frame} are no longer those that the task "
                "shows; decide in the frame's newest task."
            )
        decide(self._workspace, clip, event.frame, person, verdict, reason, name)
        self._inbox.settle(event, EventState.DONE)
        return {clip.name}

    def _has_said(self, clip: Clip, frame: int, name: str, verdict: Preferred) -> bool:
        """Whether an annotation's decision is recorded already: an event may come twice."""
        revisions = {each.number: each for each in self._workspace.revisions(clip, frame)}
        said = [
            each for each in revisions.values() if each.annotation == name and not each.withdrawn
        ]
        return any(
            each.digest == revisions[each.judges[verdict is Preferred.SECOND]].digest
            for each in said
            if each.look is Shown.DECIDE and len(each.judges) == 2
        )

    def _mask_of(self, opinion: Opinion, clip: Clip, frame: int) -> Mask:
        """The mask that a person means: an empty one where they say that nobody is in the frame.

        The mask that the task showed may still be there; one that they painted may not.

        Raises:
            LabelerError: they say that nobody is there and have painted a mask.
        """
        mask = opinion.found.mask
        if not opinion.nobody or not mask.any():
            return mask
        shown = {each.digest for each in self._workspace.revisions(clip, frame)}
        if mask_digest(mask) not in shown:
            raise LabelerError(
                f'The annotation of {clip.name} frame {frame} says "{NOBODY}" but has a mask that '
                "was painted; take one of the two away and submit again."
            )
        return np.zeros_like(mask)

    def _withdraw(self, event: Event) -> set[str]:
        """Withdraw the masks of an annotation, also those that may still come."""
        table = tables.annotations
        key = {"project": event.project, "annotation": event.annotation}
        with self._workspace.database.writing() as connection:
            row = connection.execute(sa.select(table).filter_by(**key)).first()
            if row is None:
                connection.execute(sa.insert(table).values(**key, deleted=event.received))
            else:
                connection.execute(sa.update(table).filter_by(**key).values(deleted=event.received))
        clips = set()
        if row is not None and row.clip:
            self._workspace.withdraw(self._workspace.clip(row.clip), row.frame, row.name)
            clips = {row.clip}
        self._inbox.settle(event, EventState.DONE)
        return clips

    def _is_deleted(self, event: Event, name: str, clip: Clip, submitted: datetime) -> bool:
        """Record which annotation this is, and return whether it was deleted already.

        A new Label Studio starts its numbers again, but names are unique. So a number with another
        name is another annotation; and so is one without a name that was submitted after the
        deletion.
        """
        table = tables.annotations
        key = {"project": event.project, "annotation": event.annotation}
        values: dict[str, Any] = {"name": name, "clip": clip.name, "frame": event.frame}
        with self._workspace.database.writing() as connection:
            row = connection.execute(sa.select(table).filter_by(**key)).first()
            if row is None:
                connection.execute(sa.insert(table).values(**key, **values))
                return False
            reused = row.deleted is not None and row.deleted < submitted
            if row.name == name != _numbered(event.project, event.annotation):
                reused = False
            if reused or row.name not in ("", name):
                values["deleted"] = None
            connection.execute(sa.update(table).filter_by(**key).values(**values))
        return row.deleted is not None and "deleted" not in values

    def _prelabel_quality(self, revisions: Sequence[Revision], mask: Mask) -> float | None:
        """J between the prediction that the annotator was shown and the mask they submitted."""
        predicted = last_prediction(revisions)
        if predicted is None:
            return None
        try:
            return region_similarity(self._workspace.read(predicted), mask)
        except LabelerError:  # `mvps doctor` reports the damaged file; the person's mask is kept
            return None


def _shown(event: Event) -> tuple[Shown, tuple[int, ...]]:
    """What a task of the cross-check showed to the second person: how, and which masks.

    Raises:
        LabelerError: the task does not say what it showed.
    """
    data = event.body.get("data", {})
    if type(number := data.get("revision")) is int and number > 0:
        return Shown.CONFIRM, (number,)
    if data.get("look") in (Shown.BLIND, Shown.AUDIT):
        return Shown(data["look"]), ()
    raise LabelerError(
        "The task says neither which mask it shows nor that it shows none; check the frame in a "
        "task that `mvps studio connect` made."
    )


def _ignored(found: AnnotatedMask) -> str:
    return f"{found.ignored} regions without the portrait left out" if found.ignored else ""


def _name(annotation: dict[str, Any]) -> str:
    """A name that no other annotation has, not even one of another Label Studio."""
    unique = annotation.get("unique_id")
    if isinstance(unique, str) and unique and unique.isprintable():
        return unique
    return _numbered(annotation["project"], annotation["id"])


def _numbered(project: int, annotation: int) -> str:
    return f"{project}/{annotation}"


def _user(annotation: dict[str, Any]) -> int:
    """The number of the user who last submitted the annotation; 0 if it is unknown."""
    for key in ("updated_by", "completed_by"):
        found = annotation.get(key)
        found = found.get("id") if isinstance(found, dict) else found
        if isinstance(found, int):
            return found
    return 0
