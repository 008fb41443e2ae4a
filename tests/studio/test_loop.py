"""The labeling loop through Label Studio's API: predict, correct, propagate, withdraw."""

import json
import urllib.request
from typing import Any

import numpy as np
import pytest

from backend.store.inbox import EventState, Inbox
from backend.studio.annotation import from_result, to_result
from backend.studio.client import Studio
from backend.studio.projects import task_links
from labeler.revision import Provenance
from tests.studio.annotator import Annotator
from tests.studio.conftest import FRAMES, SIZE
from tests.workspaces import file_bytes, square

KEY_FRAMES = list(range(0, FRAMES, 5))


def test_connecting_again_changes_nothing(annotator: Annotator) -> None:
    assert annotator.stack.run("studio", "connect").startswith("Everything is as it should be.")
    assert len(list(annotator.studio.tasks(annotator.project))) == len(annotator.tasks) == 21 + 7


def test_tabs_that_an_earlier_version_made_take_their_new_titles(annotator: Annotator) -> None:
    def titles() -> dict[str, Any]:
        found = annotator.api.views.list(project=annotator.project)
        return {str((each.data or {})["title"]): each for each in found}

    before = titles()
    assert list(before) == ["Correct next", "All frames", "Corrected"]
    view = before["Correct next"]
    former = dict(view.data or {}) | {"title": "By priority"}
    annotator.api.views.update(str(view.id), project=annotator.project, data=former)
    said = annotator.stack.run("studio", "connect")
    assert "renamed the tab 'By priority' to 'Correct next'" in said
    after = titles()
    assert after.keys() == before.keys()
    assert after["Correct next"].id == view.id


def test_every_key_frame_is_a_task_that_says_what_it_is(annotator: Annotator) -> None:
    data = annotator.data("walk", 10)
    assert (data["clip"], data["frame"], data["scenario"]) == ("walk", 10, "lecture")
    assert data["seconds"] == pytest.approx(10 * 1001 / 24000, abs=1e-3)
    assert data["provenance"] == "predicted"
    assert 0 <= data["uncertainty"] <= 1
    assert 0 <= data["priority"] <= 1
    assert data["previous"].endswith("00005.jpg")
    assert data["next"].endswith("00015.jpg")
    for name in ("image", "previous", "next"):
        request = urllib.request.Request(
            annotator.stack.studio.url + data[name],
            headers={"Authorization": f"Token {annotator.stack.studio.login.token}"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"


def test_a_correction_repairs_its_neighbours_and_stays_as_it_was_painted(
    annotator: Annotator,
) -> None:
    truth = square(50, SIZE)
    annotator.submit("walk", 50, truth)
    annotator.wait_until_shown("walk", 55, truth)
    annotator.wait_until_quiet()
    [clip] = [c for c in annotator.workspace.clips() if c.name == "walk"]
    revision = annotator.workspace.current(clip)[50]
    assert revision.provenance is Provenance.CORRECTED
    assert revision.author == annotator.stack.studio.login.email
    np.testing.assert_array_equal(annotator.workspace.read(revision), truth)
    shown = annotator.all_shown("walk")
    for frame in KEY_FRAMES:
        if frame != 50:
            np.testing.assert_array_equal(shown[frame], truth)
    assert annotator.data("walk", 50)["provenance"] == "corrected"
    assert annotator.data("walk", 50)["priority"] == 0
    link = f"/projects/{annotator.project}/data?task={annotator.tasks['walk', 50]}"
    links = task_links(annotator.workspace)  # what `mvps quality` prints, and the editor opens
    assert links["walk", 50] == annotator.stack.studio.url + link
    assert annotator.data("walk", 55)["priority"] < annotator.data("walk", 0)["priority"]


def test_only_the_frames_that_it_can_help_are_masked_again(annotator: Annotator) -> None:
    annotator.submit("walk", 70, square(70, SIZE))
    annotator.wait_until_shown("walk", 75, square(70, SIZE))
    annotator.wait_until_quiet()
    before = file_bytes(annotator.workspace.root / "clips" / "walk" / "masks")
    turns = {f: annotator.data("walk", f)["turn"] for f in KEY_FRAMES}
    sent = {f: annotator.predictions("walk", f)[0] for f in KEY_FRAMES}
    annotator.submit("walk", 90, square(90, SIZE))
    annotator.wait_until_shown("walk", 95, square(90, SIZE))
    annotator.wait_until_quiet()
    after = file_bytes(annotator.workspace.root / "clips" / "walk" / "masks")
    changed = {name.split("/")[0] for name in after.keys() - before.keys()}
    assert changed == {f"{frame:05d}" for frame in (75, 80, 85, 90, 95, 100)}
    assert all(after[name] == content for name, content in before.items())
    others = [f for f in (0, *range(5, 70, 5)) if annotator.data("walk", f)["turn"] == turns[f]]
    assert len(others) >= 5  # a frame that comes next now, or no longer, is sent again
    for frame in KEY_FRAMES:
        assert annotator.predictions("walk", frame)[0].id == sent[frame].id
    for frame in others:
        assert annotator.predictions("walk", frame)[0].updated_at == sent[frame].updated_at


def test_a_changed_annotation_counts_and_the_first_state_is_kept(annotator: Annotator) -> None:
    first, second = square(0, SIZE), square(12, SIZE)
    annotation = annotator.submit("run", 0, first)
    annotator.wait_until_shown("run", 5, first)
    annotator.update(annotation, second)
    annotator.wait_until_shown("run", 5, second)
    [clip] = [c for c in annotator.workspace.clips() if c.name == "run"]
    human = [r for r in annotator.workspace.revisions(clip, 0) if r.provenance.human]
    masks = [annotator.workspace.read(revision) for revision in human]
    np.testing.assert_array_equal(masks, [first, second])


def test_a_deleted_annotation_is_withdrawn_and_its_revision_stays(annotator: Annotator) -> None:
    [clip] = [c for c in annotator.workspace.clips() if c.name == "run"]
    annotator.wait_until_quiet()
    before = annotator.shown("run", 20)
    lone = np.zeros(SIZE, bool)
    lone[5:9, 5:9] = True
    annotation = annotator.submit("run", 15, lone)
    annotator.wait_until_shown("run", 20, lone)
    annotator.delete(annotation)
    annotator.wait_until_shown("run", 20, before)
    annotator.wait_until_quiet()
    assert annotator.workspace.current(clip)[15].provenance is Provenance.PREDICTED
    human = [r for r in annotator.workspace.revisions(clip, 15) if r.provenance.human]
    assert [r.withdrawn for r in human] == [True]
    np.testing.assert_array_equal(annotator.workspace.read(human[0]), lone)


def test_submitting_the_prediction_as_it_is_confirms_it(annotator: Annotator) -> None:
    [clip] = [c for c in annotator.workspace.clips() if c.name == "run"]
    annotator.wait_until_quiet()
    annotator.submit("run", 25, annotator.shown("run", 25))
    annotator.until(
        lambda: annotator.workspace.current(clip)[25].provenance is Provenance.CONFIRMED,
        "confirmed",
    )
    assert annotator.workspace.references(clip).corrected(25) is not None


def test_an_empty_mask_over_one_that_is_not_waits_for_a_word(annotator: Annotator) -> None:
    [clip] = [c for c in annotator.workspace.clips() if c.name == "walk"]
    annotator.wait_until_quiet()
    before = annotator.workspace.current(clip)[30]
    annotator.submit("walk", 30, np.zeros(SIZE, bool))
    inbox = Inbox(annotator.workspace.database)
    annotator.until(lambda: inbox.listed(EventState.ASKING) or None, "asked")
    assert annotator.workspace.current(clip)[30] == before
    [asking] = inbox.listed(EventState.ASKING)
    kept = json.loads((annotator.workspace.root / "credentials.json").read_text())
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, annotator.stack.backend, kept["user"], kept["password"])
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    with opener.open(f"{annotator.stack.backend}/") as page:
        assert "Is nobody in these frames?" in page.read().decode()
    opener.addheaders.append(("Origin", annotator.stack.backend))  # as a browser says of a form
    opener.open(f"{annotator.stack.backend}/events/{asking.id}/confirm", data=b"").close()
    annotator.until(lambda: not annotator.workspace.current(clip)[30].area, "confirmed")


def test_a_submission_while_the_backend_is_away_is_fetched(annotator: Annotator) -> None:
    [clip] = [c for c in annotator.workspace.clips() if c.name == "run"]
    annotator.wait_until_quiet()
    stack, mask = annotator.stack, square(3, SIZE)
    for child in stack.children.values():
        child.kill()
        child.wait()
    submitted = annotator.submit("run", 10, mask)
    gone = annotator.submit("run", 30, mask)
    annotator.delete(gone)
    assert not annotator.workspace.current(clip)[10].provenance.human
    assert stack.revive() == ["serve", "worker"]
    annotator.until(lambda: annotator.workspace.current(clip)[10].provenance.human, "fetched")
    np.testing.assert_array_equal(
        annotator.workspace.read(annotator.workspace.current(clip)[10]), mask
    )
    assert not annotator.workspace.current(clip)[30].provenance.human
    for child in stack.children.values():
        child.kill()
        child.wait()
    annotator.delete(submitted)
    said = stack.run("studio", "sync")
    assert said.startswith("fetched 1 submissions")
    assert not annotator.workspace.current(clip)[10].provenance.human
    stack.revive()


def test_a_second_sync_has_nothing_to_do(annotator: Annotator) -> None:
    annotator.wait_until_quiet()
    annotator.stack.run("studio", "sync")
    assert (
        annotator.stack.run("studio", "sync").strip()
        == "fetched 0 submissions, published 0 predictions"
    )


def test_label_studio_asks_for_a_prediction_that_is_gone(annotator: Annotator) -> None:
    annotator.wait_until_quiet()
    task = annotator.tasks["walk", 85]
    before = annotator.shown("walk", 85)
    annotator.studio.act(annotator.project, "delete_tasks_predictions", [task])
    assert annotator.predictions("walk", 85) == []
    annotator.studio.act(annotator.project, "retrieve_tasks_predictions", [task])
    np.testing.assert_array_equal(annotator.shown("walk", 85), before)


def test_predictions_that_label_studio_adds_by_itself_are_never_out_of_date(
    annotator: Annotator,
) -> None:
    annotator.wait_until_quiet()
    several = [annotator.tasks["walk", frame] for frame in (85, 95, 100)]
    annotator.studio.act(annotator.project, "retrieve_tasks_predictions", several)
    assert len(annotator.predictions("walk", 95)) > 1
    annotator.submit("walk", 90, square(11, SIZE))
    annotator.wait_until_quiet()
    [clip] = [c for c in annotator.workspace.clips() if c.name == "walk"]
    for frame in (85, 95, 100):
        newest = annotator.workspace.read(annotator.workspace.current(clip)[frame])
        for each in annotator.predictions("walk", frame):
            np.testing.assert_array_equal(from_result(each.result, *SIZE).mask, newest)


@pytest.mark.filterwarnings("ignore:The `parse_obj` method:DeprecationWarning")
def test_a_personal_access_token_does_too(annotator: Annotator) -> None:
    token = annotator.api.tokens.create()
    studio = Studio(annotator.stack.studio.url, token.token)
    assert len(list(studio.tasks(annotator.project))) == len(annotator.tasks)
    studio.close()


def test_strokes_are_united_and_what_is_no_portrait_is_left_out(annotator: Annotator) -> None:
    [clip] = [c for c in annotator.workspace.clips() if c.name == "walk"]
    one, other = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    one[10:20, 10:30], other[15:40, 20:25] = True, True
    regions = to_result(one, "one") + to_result(other, "other")
    annotator.api.annotations.create(id=annotator.tasks["walk", 5], result=regions)
    annotator.until(lambda: annotator.workspace.current(clip)[5].provenance.human, "united")
    found = annotator.workspace.read(annotator.workspace.current(clip)[5])
    np.testing.assert_array_equal(found, one | other)
