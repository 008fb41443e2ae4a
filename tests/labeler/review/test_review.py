"""Cross-check: who says what of a frame, in whatever order, and what comes of it."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest
import sqlalchemy as sa

from labeler.errors import LabelerError
from labeler.mask import mask_digest
from labeler.review.crosscheck import (
    Preferred,
    accept_if_agreed,
    agreement_of,
    decide,
    record_check,
)
from labeler.review.report import review_report
from labeler.review.standing import Agreement, Stage, Thresholds, is_audited, standing
from labeler.revision import Draft, Provenance, Shown
from labeler.workspace import tables
from labeler.workspace.integrity import open_workspace
from labeler.workspace.workspace import Workspace
from tests.workspaces import SIZE, make_bare_clip, make_clip, square

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
ALIKE = square(5) | square(6)
"""J of about .97 with square(5): another hand, the same meaning."""


@pytest.fixture
def clip(workspace):
    return make_clip(workspace)


@pytest.fixture
def now(workspace, clip):
    """Where frame 5 stands."""
    return lambda: standing(workspace.revisions(clip, 5))


def correct(workspace, clip, mask, person="ann", minute=0, annotation="a"):
    submitted = NOON + timedelta(minutes=minute)
    return workspace.record(
        clip, 5, mask, Draft(person, annotation=annotation, submitted=submitted)
    )


def check(workspace, clip, mask, person="bob", minute=5, annotation="b", **more):
    said = {"look": Shown.CONFIRM, "submitted": NOON + timedelta(minutes=minute)} | more
    return record_check(workspace, clip, 5, mask, Draft(person, annotation=annotation, **said))


def accepted(workspace, clip):
    counts = workspace.current(clip)[5]
    assert counts.provenance is Provenance.ACCEPTED
    return counts


def test_the_masks_of_these_tests_are_as_they_should_be():
    assert 0.95 <= Agreement.of(square(5), ALIKE).region < 1
    assert Thresholds().met_by(Agreement.of(square(5), ALIKE))
    assert not Thresholds().met_by(Agreement.of(square(5), square(15)))
    assert not Thresholds().met_by(Agreement(0.949, 1))
    assert not Thresholds().met_by(Agreement(1, 0.899))


def test_a_frame_goes_from_nothing_to_accepted(workspace, clip, now):
    assert now().stage is Stage.MISSING
    workspace.record_prediction(
        clip, 5, square(1), model_version="m", references="r", uncertainty=0.5
    )
    assert now().stage is Stage.PREDICTED
    first = correct(workspace, clip, square(5))
    assert (now().stage, now().first) == (Stage.UNCHECKED, first)
    after = check(workspace, clip, square(5))
    assert after == now()
    assert after.stage is Stage.ACCEPTED
    verdict = accepted(workspace, clip)
    assert (verdict.author, verdict.look, verdict.digest) == ("bob", Shown.CONFIRM, first.digest)
    assert verdict.judges == (first.number, first.number + 1)
    count = len(workspace.revisions(clip))
    assert accept_if_agreed(workspace, clip, 5).stage is Stage.ACCEPTED
    assert len(workspace.revisions(clip)) == count


def test_whoever_confirms_and_repairs_has_the_last_word_within_agreement(workspace, clip):
    correct(workspace, clip, square(5))
    assert check(workspace, clip, ALIKE).stage is Stage.ACCEPTED
    assert accepted(workspace, clip).digest == mask_digest(ALIKE)
    assert workspace.references(clip).corrected(5).digest == mask_digest(ALIKE)


def test_a_blind_second_mask_only_measures_the_first(workspace, clip):
    correct(workspace, clip, square(5))
    assert check(workspace, clip, ALIKE, look=Shown.BLIND).stage is Stage.ACCEPTED
    assert accepted(workspace, clip).digest == mask_digest(square(5))


def test_blind_masks_may_come_in_any_order(workspace, clip, now):
    assert check(workspace, clip, ALIKE, look=Shown.BLIND, minute=-5).stage is Stage.MISSING
    assert workspace.current(clip) == {}
    correct(workspace, clip, square(5))
    assert now().stage is Stage.CONFLICT  # as long as nobody compared them
    assert accept_if_agreed(workspace, clip, 5).stage is Stage.ACCEPTED


def test_below_the_thresholds_a_third_person_decides(workspace, clip, now):
    first = correct(workspace, clip, square(5))
    assert check(workspace, clip, square(15)).stage is Stage.CONFLICT
    assert workspace.current(clip)[5] == first  # meanwhile the first one's counts
    assert now().second.author == "bob"
    for person in ("ann", "bob"):
        with pytest.raises(LabelerError, match="a third person decides"):
            decide(workspace, clip, 5, person, Preferred.FIRST)
    verdict = decide(workspace, clip, 5, "cid", Preferred.SECOND, "the arm is his")
    assert accepted(workspace, clip) == verdict
    assert (verdict.author, verdict.look, verdict.reason) == ("cid", Shown.DECIDE, "the arm is his")
    assert verdict.digest == mask_digest(square(15))
    with pytest.raises(LabelerError, match="in no conflict"):
        decide(workspace, clip, 5, "dan", Preferred.FIRST)


@pytest.mark.parametrize(
    "verdict", [Preferred.FIRST, Preferred.SECOND, square(9)], ids=["first", "second", "own"]
)
def test_a_verdict_is_anybodys_mask(workspace, clip, verdict):
    correct(workspace, clip, square(5))
    check(workspace, clip, square(15))
    decide(workspace, clip, 5, "cid", verdict)
    said = {Preferred.FIRST: square(5), Preferred.SECOND: square(15)}
    expected = said[verdict] if isinstance(verdict, Preferred) else verdict
    assert np.array_equal(workspace.read(accepted(workspace, clip)), expected)


def test_a_rejection_with_a_reason_is_a_conflict_however_alike_the_masks(workspace, clip, now):
    correct(workspace, clip, square(5))
    assert check(workspace, clip, square(5), reason="a second person is missing").stage is (
        Stage.CONFLICT
    )
    assert accept_if_agreed(workspace, clip, 5, Thresholds(0, 0)).stage is Stage.CONFLICT
    assert now().second.reason == "a second person is missing"


def test_looser_thresholds_are_asked_for_by_name(workspace, clip):
    correct(workspace, clip, square(5))
    check(workspace, clip, square(8))
    assert accept_if_agreed(workspace, clip, 5).stage is Stage.CONFLICT
    assert accept_if_agreed(workspace, clip, 5, Thresholds(0.5, 0.5)).stage is Stage.ACCEPTED


def test_nobody_checks_their_own_mask(workspace, clip):
    correct(workspace, clip, square(5))
    for look in (Shown.CONFIRM, Shown.BLIND, Shown.AUDIT):
        with pytest.raises(LabelerError, match="ann has masked walk frame 5"):
            check(workspace, clip, square(5), person="ann", look=look)
    assert len(workspace.revisions(clip)) == 1


def test_there_must_be_something_to_confirm(workspace, clip):
    with pytest.raises(LabelerError, match="nothing to check"):
        check(workspace, clip, square(5))
    workspace.record_prediction(
        clip, 5, square(1), model_version="m", references="r", uncertainty=0.5
    )
    with pytest.raises(LabelerError, match="nothing to check"):
        check(workspace, clip, square(5))
    correct(workspace, clip, square(5))
    check(workspace, clip, square(5))
    with pytest.raises(LabelerError, match="accepted already"):
        check(workspace, clip, square(5), person="cid", annotation="c")


def test_what_is_corrected_after_the_check_is_checked_again(workspace, clip, now):
    first = correct(workspace, clip, square(5))
    check(workspace, clip, square(5), judges=(first.number,))
    second = correct(workspace, clip, square(9), minute=7)
    assert (now().stage, now().first) == (Stage.UNCHECKED, second)
    check(workspace, clip, square(9), minute=9, judges=(second.number,))
    assert accepted(workspace, clip).digest == mask_digest(square(9))


def test_a_correction_made_before_the_check_but_told_after_it_counts(workspace, clip, now):
    first = correct(workspace, clip, square(5))
    check(workspace, clip, square(5), minute=9, judges=(first.number,))
    late = correct(workspace, clip, square(9), minute=7)
    assert (now().stage, now().first) == (Stage.UNCHECKED, late)


def test_a_check_of_an_earlier_state_says_nothing_of_the_present_one(workspace, clip, now):
    first = correct(workspace, clip, square(5))
    correct(workspace, clip, square(9), minute=3)
    assert check(workspace, clip, square(5), judges=(first.number,)).stage is Stage.UNCHECKED


def test_a_mask_or_a_check_that_is_taken_back_takes_its_verdict_along(workspace, clip, now):
    first = correct(workspace, clip, square(5))
    check(workspace, clip, ALIKE)
    workspace.withdraw(clip, 5, "b")
    assert (now().stage, now().first) == (Stage.UNCHECKED, first)
    check(workspace, clip, ALIKE, person="cid", annotation="c")
    assert now().stage is Stage.ACCEPTED
    workspace.withdraw(clip, 5, "a")
    assert now().stage is Stage.MISSING


def test_a_checker_may_change_their_mind(workspace, clip, now):
    first = correct(workspace, clip, square(5))
    check(workspace, clip, square(5), judges=(1,))
    check(workspace, clip, square(5), minute=6, judges=(1,))  # said again, nothing new
    assert now().stage is Stage.ACCEPTED
    after = check(workspace, clip, square(5), minute=8, judges=(1,), reason="her hand is missing")
    assert (after.stage, after.first) == (Stage.CONFLICT, first)
    check(workspace, clip, square(5), minute=9, judges=(1,))
    assert now().stage is Stage.ACCEPTED


def test_an_audit_counts_for_nothing(workspace, clip, now):
    check(workspace, clip, square(2), look=Shown.AUDIT)
    assert now().stage is Stage.MISSING
    correct(workspace, clip, square(5))
    assert now().stage is Stage.UNCHECKED
    check(workspace, clip, square(15), person="cid", annotation="c", look=Shown.AUDIT)
    assert accept_if_agreed(workspace, clip, 5, Thresholds(0, 0)).stage is Stage.UNCHECKED


def test_whatever_the_order_the_outcome_is_the_same(tmp_path):
    """A corrects and changes it; C, who was first to check, agrees with the change, B does not."""
    said = {
        "a1": lambda w, c: correct(w, c, square(5), minute=0),
        "a2": lambda w, c: correct(w, c, square(9), minute=2),
        "b": lambda w, c: check(w, c, ALIKE, minute=4, look=Shown.BLIND),
        "c": lambda w, c: check(w, c, square(9), "cid", 3, "c", look=Shown.BLIND),
    }
    outcomes = set()
    for number, order in enumerate(permutations(said)):
        workspace = Workspace(tmp_path / str(number))
        clip = make_clip(workspace)
        for each in order:
            said[each](workspace, clip)
        found = accept_if_agreed(workspace, clip, 5)
        outcomes.add((found.stage, found.first.digest, found.first.author))
        workspace.close()
    assert outcomes == {(Stage.ACCEPTED, mask_digest(square(9)), "cid")}


def test_the_files_alone_tell_the_whole_story(workspace, clip, now):
    correct(workspace, clip, square(5))
    check(workspace, clip, square(15), reason="a hat too much")
    decide(workspace, clip, 5, "cid", Preferred.FIRST, "it is a hat")
    before = workspace.revisions(clip)
    workspace.close()
    for path in workspace.root.glob("mvps.db*"):
        path.unlink()
    again, _ = open_workspace(workspace.root)
    assert again.revisions(clip) == before
    assert standing(again.revisions(clip, 5)).stage is Stage.ACCEPTED
    again.close()


def test_agreement_is_computed_once(workspace, clip, monkeypatch):
    first = correct(workspace, clip, square(5))
    check(workspace, clip, square(15))
    second = standing(workspace.revisions(clip, 5)).second
    found = agreement_of(workspace, first, second)
    assert found == Agreement.of(square(5), square(15))
    monkeypatch.setattr(Workspace, "read", None)
    assert agreement_of(workspace, first, second) == found
    assert agreement_of(workspace, first, first) == Agreement(1, 1)


def test_the_audits_draw_is_a_share_and_never_changes(workspace):
    clip = make_bare_clip(workspace, key_frames=3000)
    drawn = {frame for frame in clip.key_frames if is_audited(clip, frame)}
    assert 60 <= len(drawn) <= 120  # 90 of 3,000
    more = {frame for frame in clip.key_frames if is_audited(clip, frame, 0.1)}
    assert drawn < more
    assert not any(is_audited(clip, frame, 0) for frame in clip.key_frames)
    assert all(is_audited(clip, frame, 1) for frame in clip.key_frames)
    other = make_bare_clip(workspace, "other", key_frames=3000)
    assert drawn != {frame for frame in other.key_frames if is_audited(other, frame)}
    assert (clip.height, clip.width) == SIZE


def test_a_damaged_mask_costs_only_its_own_agreement(workspace, clip):
    other = make_clip(workspace, "other")
    for each, first in ((clip, 5), (other, 6)):  # the agreement of the same pixels is kept
        correct(workspace, each, square(first), annotation=f"a-{each.name}")
        check(workspace, each, square(20), annotation=f"b-{each.name}")
    damaged = workspace.mask_path(workspace.revisions(clip, 5)[0])
    damaged.write_bytes(damaged.read_bytes()[:20])
    with workspace.database.writing() as connection:
        connection.execute(sa.delete(tables.agreements))  # a cache, which may be lost
    report = review_report(workspace)
    assert [str(damaged) in fault for fault in report.faults] == [True]
    assert {each.clip: each.agreement is None for each in report.frames} == {
        clip.name: True,
        "other": False,
    }
    assert list(report.by_clip) == ["other"]
