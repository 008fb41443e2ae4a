"""What a training is on: masks for good, and test clips that never get in."""

import json

import pytest

from labeler.errors import LabelerError
from labeler.publish.locked import draw_locked, locked_thumbnails, read_locked
from labeler.publish.snapshot import Snapshot, take_snapshot
from labeler.revision import Draft
from tests.accepted import accepted_clip, figure


@pytest.fixture
def drawn(workspace):
    """Five clips, two of them locked."""
    for seed in range(1, 6):
        accepted_clip(workspace, f"clip{seed}", seed)
    return draw_locked(workspace)


def test_a_snapshot_holds_what_is_accepted_and_is_the_same_for_the_same(workspace, drawn, tmp_path):
    accepted_clip(workspace, "unmasked", 9, masked=False)
    snapshot = take_snapshot(workspace, 0.4)
    assert (snapshot.train, snapshot.test) == (drawn.split.train, drawn.split.test)
    assert len(snapshot.test) == 2
    assert len(snapshot.masks) == 5 * 3
    assert "unmasked" not in snapshot.to_json()
    again = take_snapshot(workspace, 0.4)
    assert again.digest == snapshot.digest
    snapshot.write(tmp_path / "snapshot.json")
    assert Snapshot.read(tmp_path / "snapshot.json") == snapshot
    for mask in snapshot.masks:
        assert mask.path(workspace.root).is_file()

    clip = workspace.clip(snapshot.train[0])
    workspace.record(clip, 0, figure(3, 3), Draft("bob"))  # corrected again: to be checked anew
    later = take_snapshot(workspace, 0.4)
    assert len(later.masks) == 14
    assert later.digest != snapshot.digest


def test_nothing_accepted_is_nothing_to_learn_from(workspace):
    accepted_clip(workspace, "unmasked", 9, masked=False)
    with pytest.raises(LabelerError, match=r"No mask in .* is accepted yet"):
        take_snapshot(workspace, 0.4)
    assert read_locked(workspace.root).split.test == ()


def test_a_locked_clip_stays_locked_and_its_source_with_it(workspace, drawn):
    for seed in range(6, 16):
        accepted_clip(workspace, f"clip{seed}", seed)
    more = draw_locked(workspace)
    assert set(drawn.split.test) < set(more.split.test)
    assert set(drawn.split.train) < set(more.split.train)
    assert len(more.split.test) == 6
    assert read_locked(workspace.root) == more
    assert set(locked_thumbnails(workspace.root)) == set(more.split.test)


@pytest.mark.parametrize(("scale", "first"), [(1.0, 0), (0.5, 0), (2.0, 1)])
def test_a_test_clip_under_another_name_is_not_trained_on(workspace, drawn, scale, first):
    """Also not in another size, encoded again, or begun a frame later."""
    stolen = drawn.split.test[0]
    accepted_clip(workspace, "innocent", int(stolen[4:]), scale=scale, first=first)
    snapshot = take_snapshot(workspace, 0.0)  # nothing more is locked
    assert "innocent" not in snapshot.train + snapshot.test
    ((name, reason),) = snapshot.left_out
    assert name == "innocent"
    assert reason == f"its frame 0 shows frame {first} of the locked test clip {stolen}"


def test_damaged_lists_are_refused_and_not_drawn_anew(workspace, drawn):
    lists = workspace.root / "locked" / "lists.json"
    lists.write_text("[]")
    with pytest.raises(LabelerError, match="put back a copy"):
        take_snapshot(workspace, 0.4)
    assert lists.read_text() == "[]"


def test_what_is_no_snapshot_is_refused(tmp_path):
    path = tmp_path / "snapshot.json"
    for content in ("", "{}", json.dumps({"clips": [1], "masks": []})):
        path.write_text(content)
        with pytest.raises(LabelerError, match="is no snapshot"):
            Snapshot.read(path)
