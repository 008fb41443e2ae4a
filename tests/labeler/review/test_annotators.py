"""Statistics per annotator: what is counted of whom."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from labeler.review.annotators import annotator_statistics, to_csv
from labeler.review.crosscheck import Preferred, decide, record_check
from labeler.review.standing import Agreement
from labeler.revision import Draft, Provenance, Shown
from labeler.workspace.integrity import open_workspace
from tests.workspaces import make_clip, square

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def clip(workspace):
    return make_clip(workspace, frame_count=31)


def mask(workspace, clip, frame, person, seconds, *, minute=0, name="", **more):
    draft = Draft(
        person,
        annotation=name or f"{person}-{frame}",
        submitted=NOON + timedelta(minutes=minute),
        lead_time=seconds,
        **more,
    )
    return workspace.record(clip, frame, square(frame), draft)


def check(workspace, clip, frame, person, painted, seconds=4.0, reason=""):
    draft = Draft(person, look=Shown.CONFIRM, lead_time=seconds, reason=reason)
    return record_check(workspace, clip, frame, painted, draft)


def test_frames_and_times_are_counted_once_for_each_frame(workspace, clip):
    mask(workspace, clip, 0, "ann", 10.0)
    mask(workspace, clip, 0, "ann", 25.0, minute=1)  # the same annotation, updated
    mask(workspace, clip, 5, "ann", 40.0, provenance=Provenance.CONFIRMED)
    mask(workspace, clip, 10, "ann", 30.0)
    mask(workspace, clip, 15, "ann", None)
    mask(workspace, clip, 20, "ann", 1.0)
    workspace.withdraw(clip, 20, "ann-20")
    workspace.record_prediction(
        clip, 25, square(1), model_version="m", references="r", uncertainty=0.5
    )
    [ann] = annotator_statistics(workspace)
    assert (ann.annotator, ann.frames, ann.seconds, ann.untouched) == ("ann", 4, 30.0, 0.25)
    assert (ann.judged, ann.first_pass, ann.region, ann.boundary) == (0, None, None, None)
    assert (ann.checks, ann.check_seconds) == (0, None)


def test_agreement_is_that_of_the_two_masks_and_a_third_person_is_no_first_pass(workspace, clip):
    for frame in (0, 5, 10, 15):
        mask(workspace, clip, frame, "ann", 10.0)
    check(workspace, clip, 0, "bob", square(0), 3.0)
    check(workspace, clip, 5, "bob", square(5), 5.0)
    check(workspace, clip, 10, "bob", square(25), 9.0)  # far from it: a conflict
    decide(workspace, clip, 10, "cid", Preferred.FIRST)
    ann, bob = annotator_statistics(workspace)
    assert (ann.annotator, ann.frames, ann.judged) == ("ann", 4, 3)
    assert ann.first_pass == pytest.approx(2 / 3)
    apart = Agreement.of(square(10), square(25))
    assert ann.region == pytest.approx((2 + apart.region) / 3)
    assert ann.boundary == pytest.approx((2 + apart.boundary) / 3)
    assert (bob.annotator, bob.frames, bob.checks, bob.check_seconds) == ("bob", 0, 3, 5.0)
    assert (bob.untouched, bob.seconds) == (None, None)


def test_a_rejected_mask_has_not_passed(workspace, clip):
    mask(workspace, clip, 5, "ann", 10.0)
    check(workspace, clip, 5, "bob", square(5), reason="the hat is missing")
    [ann, _] = annotator_statistics(workspace)
    assert (ann.judged, ann.first_pass, ann.region) == (1, 0, 1)


def test_the_times_are_in_the_mask_files_too(workspace, clip):
    recorded = mask(workspace, clip, 5, "ann", 12.5)
    (workspace.root / "mvps.db").unlink()
    workspace.close()
    again, _ = open_workspace(workspace.root)
    assert again.current(again.clip("walk"))[5] == recorded
    assert recorded.lead_time == 12.5
    again.close()


def test_csv_is_read_back_and_no_name_is_a_formula(workspace, clip):
    mask(workspace, clip, 0, '=cmd|" /C calc"!A0', 1 / 3)
    mask(workspace, clip, 5, "bo, b", None)
    rows = list(csv.DictReader(io.StringIO(to_csv(annotator_statistics(workspace)))))
    assert [row["annotator"] for row in rows] == ['\'=cmd|" /C calc"!A0', "bo, b"]
    assert [row["seconds"] for row in rows] == ["0.3333", ""]
    assert [row["frames"] for row in rows] == ["1", "1"]


def test_a_workspace_without_people_has_no_rows(workspace, clip):
    assert annotator_statistics(workspace) == []
    assert to_csv([]).startswith("annotator,frames,seconds,")
