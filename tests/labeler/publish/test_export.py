"""From a workspace to a dataset: what is in it, and what an interruption leaves."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import labeler.publish.export
from labeler.clip import KEY_FRAME_STRIDE
from labeler.errors import LabelerError
from labeler.layouts.mvps import open_dataset
from labeler.publish.export import ExportReport, export_mvps
from labeler.publish.validate import validate
from labeler.revision import Draft, Provenance
from labeler.workspace.workspace import Workspace
from tests.workspaces import file_bytes, make_clip, square

ROOT = Path(__file__).resolve().parents[3]
ACCEPTED, CONFIRMED = Provenance.ACCEPTED, Provenance.CONFIRMED
CORRECTED, PREDICTED = Provenance.CORRECTED, Provenance.PREDICTED
SIZE = (486, 648)
"""Height and width: larger than 480p."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips with every key frame accepted, one in part, one not at all, one without masks."""
    workspace = Workspace(tmp_path_factory.mktemp("made") / "workspace")
    whole = dict.fromkeys(range(0, 11, KEY_FRAME_STRIDE), ACCEPTED)
    add(workspace, "lying", whole)
    add(workspace, "upright", whole, (648, 486))
    add(workspace, "in-part", {0: PREDICTED, 5: ACCEPTED, 10: CONFIRMED}, (61, 83))
    add(workspace, "not-yet", {0: PREDICTED, 5: CORRECTED}, (60, 80))
    add(workspace, "bare", {}, (60, 80))
    workspace.close()
    return workspace.root


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the made workspace, for one test."""
    shutil.copytree(made, tmp_path / "workspace")
    workspace = Workspace(tmp_path / "workspace")
    yield workspace
    workspace.close()


def add(
    workspace: Workspace,
    name: str,
    masks: dict[int, Provenance],
    size: tuple[int, int] = SIZE,
    author: str = "ann",
) -> None:
    clip = make_clip(workspace, name, frame_count=11, size=size)
    for index, provenance in masks.items():
        mask = square(index, size)
        if provenance is PREDICTED:
            workspace.record_prediction(
                clip, index, mask, model_version="none+0", references=author, uncertainty=0.5
            )
        else:
            workspace.record(clip, index, mask, Draft(author, provenance))


def test_what_was_exported_is_read_back(workspace: Workspace, tmp_path: Path) -> None:
    report = export_mvps(workspace, tmp_path / "set")
    assert report == ExportReport(
        clips=("in-part", "lying", "upright"),
        frames=33,
        masks=7,
        left_out=(
            ("bare", "it has no mask yet"),
            ("not-yet", "none of its 2 masks is accepted"),
        ),
        written=80,
    )
    assert validate(tmp_path / "set") == []
    dataset = open_dataset(tmp_path / "set")
    assert [row.name for row in dataset.clips] == list(report.clips)
    for row in dataset.clips:
        clip = workspace.clip(row.name)
        assert (row.scenario, row.frames, row.fps) == (clip.scenario, 11, clip.fps)
        assert (row.width, row.height) == (clip.width, clip.height)
        assert (row.source, row.sha256) == (clip.source, clip.sha256)
        assert row.annotated == len(dataset.annotated(row.name))
        current = workspace.current(clip)
        for index in dataset.annotated(row.name):
            np.testing.assert_array_equal(
                dataset.mask(row.name, index), workspace.read(current[index])
            )
        for index in range(11):
            theirs = workspace.frames(clip).folder / f"{index:05d}.jpg"
            ours = dataset.frames(row.name).files[index]
            assert ours.read_bytes() == theirs.read_bytes()
            assert ours.stat().st_ino != theirs.stat().st_ino
            assert ours.stat().st_nlink == 1
    assert dataset.annotated("in-part") == [5]
    assert dataset.mask("upright", 5, "480p").shape == (640, 480)
    assert sorted(dataset.split("train") + dataset.split("test")) == list(report.clips)
    assert len(dataset.split("test")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "workspace"]


def test_a_correction_after_the_acceptance_takes_the_frame_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.record(workspace.clip("lying"), 5, square(9, SIZE), Draft("bob"))
    export_mvps(workspace, tmp_path / "set", clips=["lying"])
    assert open_dataset(tmp_path / "set").annotated("lying") == [0, 10]
    assert validate(tmp_path / "set") == []


def test_everything_is_exported_when_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    report = export_mvps(workspace, tmp_path / "set", include_unreviewed=True)
    assert report.clips == ("in-part", "lying", "not-yet", "upright")
    assert report.masks == 11
    assert report.left_out == (("bare", "it has no mask yet"),)
    assert validate(tmp_path / "set") == []


def test_only_the_named_clips_are_exported(workspace: Workspace, tmp_path: Path) -> None:
    report = export_mvps(workspace, tmp_path / "set", clips=["upright", "bare", "upright"])
    assert report.clips == ("upright",)
    assert [name for name, _ in report.left_out] == ["bare"]
    assert open_dataset(tmp_path / "set").splits == {"test": (), "train": ("upright",)}
    with pytest.raises(LabelerError, match="no clip 'nobody'"):
        export_mvps(workspace, tmp_path / "set", clips=["nobody"])


def test_the_same_clips_and_masks_give_the_same_bytes(workspace: Workspace, tmp_path: Path) -> None:
    export_mvps(workspace, tmp_path / "set")
    first = file_bytes(tmp_path / "set")
    export_mvps(workspace, tmp_path / "set")
    assert file_bytes(tmp_path / "set") == first
    # Other people, another order, more revisions on the way: the same masks in the end.
    other = Workspace(tmp_path / "other")
    whole = dict.fromkeys(range(10, -1, -KEY_FRAME_STRIDE), ACCEPTED)
    add(other, "upright", whole, (648, 486), author="bob")
    add(other, "in-part", {0: PREDICTED, 5: ACCEPTED}, (61, 83), author="bob")
    add(other, "lying", dict.fromkeys(range(0, 11, KEY_FRAME_STRIDE), PREDICTED), author="bob")
    for index in whole:
        mask = square(index, SIZE)
        other.record(other.clip("lying"), index, mask, Draft("cy", ACCEPTED))
    export_mvps(other, tmp_path / "again")
    other.close()
    assert file_bytes(tmp_path / "again") == first


def test_progress_counts_every_picture_and_mask(workspace: Workspace, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    export_mvps(workspace, tmp_path / "set", progress=lambda *step: seen.append(step))
    files = [*(tmp_path / "set").rglob("*.jpg"), *(tmp_path / "set").rglob("*.png")]
    assert seen == [(n, len(files) // 2) for n in range(1, len(files) // 2 + 1)]
    first = seen.copy()
    seen.clear()
    export_mvps(workspace, tmp_path / "set", progress=lambda *step: seen.append(step))
    assert seen == first


@pytest.mark.parametrize("step", [1, 20, 40])
def test_an_error_leaves_the_last_whole_export(
    workspace: Workspace, tmp_path: Path, step: int
) -> None:
    export_mvps(workspace, tmp_path / "set", clips=["upright"])
    before = file_bytes(tmp_path / "set")

    def fail(done: int, total: int) -> None:
        assert total == 40
        if done == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_mvps(workspace, tmp_path / "set", progress=fail)
    assert file_bytes(tmp_path / "set") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "workspace"]
    export_mvps(workspace, tmp_path / "set")
    assert validate(tmp_path / "set") == []


@pytest.mark.parametrize("step", [3, 22, 40])
def test_a_kill_leaves_the_last_whole_export(
    workspace: Workspace, tmp_path: Path, step: int
) -> None:
    target = tmp_path / "set"
    export_mvps(workspace, target, clips=["upright"])
    before = file_bytes(target)
    module = "tests.labeler.kill_while_exporting"
    killed = subprocess.run(
        [sys.executable, "-m", module, str(workspace.root), str(target), str(step)], cwd=ROOT
    )
    assert killed.returncode == -signal.SIGKILL
    assert file_bytes(target) == before
    assert list((tmp_path / ".set.partial").iterdir())
    export_mvps(workspace, target)
    assert validate(target) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "workspace"]


def test_a_full_disk_leaves_the_last_whole_export(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_mvps(workspace, tmp_path / "set", clips=["upright"])
    before = file_bytes(tmp_path / "set")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(labeler.publish.export, "write_split", full)
    with pytest.raises(LabelerError, match=r"could not be written.*No space left"):
        export_mvps(workspace, tmp_path / "set")
    assert file_bytes(tmp_path / "set") == before


@pytest.mark.parametrize("name", ["notes.txt", "clips.csv", "JPEGImages/480p/a/00000.jpg"])
def test_a_foreign_target_is_refused_and_untouched(
    workspace: Workspace, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "set"
    (target / name).parent.mkdir(parents=True)
    (target / name).write_text("mine")
    for refused, said in (
        (target, "is not empty and is no dataset of an earlier export"),
        (target / name, "in the way and is not a folder"),
        (workspace.root, "is not empty and is no dataset of an earlier export"),
    ):
        with pytest.raises(LabelerError, match=said):
            export_mvps(workspace, refused)
    assert file_bytes(target) == {name: b"mine"}


def test_a_file_put_into_an_export_is_not_lost(workspace: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "set"
    export_mvps(workspace, target, clips=["upright"])
    (target / "README.md").write_text("mine")
    before = file_bytes(target)
    with pytest.raises(LabelerError, match=r"also holds README\.md"):
        export_mvps(workspace, target)
    assert file_bytes(target) == before


def test_an_empty_target_and_a_new_one_deep_down_are_taken(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    for target in (tmp_path / "set", tmp_path / "a" / "b" / "set"):
        export_mvps(workspace, target, clips=["in-part"])
        assert validate(target) == []


def test_a_mount_point_is_refused(workspace: Workspace) -> None:
    mount = next(p for p in (Path("/dev/shm"), Path("/proc"), Path("/")) if os.path.ismount(p))
    with pytest.raises(LabelerError, match="is a mount point"):
        export_mvps(workspace, mount)


def test_nothing_to_export_says_what_to_do(workspace: Workspace, tmp_path: Path) -> None:
    for clips, said in (
        (["bare"], "mvps preannotate"),
        (["not-yet", "bare"], "--include-unreviewed"),
    ):
        with pytest.raises(LabelerError, match=said):
            export_mvps(workspace, tmp_path / "set", clips=clips)
    with pytest.raises(LabelerError, match="mvps preannotate"):
        export_mvps(workspace, tmp_path / "set", clips=["bare"], include_unreviewed=True)
    empty = Workspace(tmp_path / "empty")
    with pytest.raises(LabelerError, match="mvps add"):
        export_mvps(empty, tmp_path / "set")
    empty.close()
    assert not (tmp_path / "set").exists()


def test_a_missing_picture_and_a_changed_mask_cost_only_their_clip(
    workspace: Workspace, tmp_path: Path
) -> None:
    clip = workspace.clip("in-part")
    path = workspace.mask_path(workspace.current(clip)[5])
    kept = path.read_bytes()
    path.write_bytes(workspace.mask_path(workspace.current(clip)[0]).read_bytes())
    whole = [each for each in workspace.clips() if each.name != clip.name]
    others = export_mvps(workspace, tmp_path / "others", clips=[each.name for each in whole])
    report = export_mvps(workspace, tmp_path / "set")
    assert report.damaged == ("in-part",)
    assert "was changed after it was recorded" in dict(report.left_out)["in-part"]
    assert (report.clips, report.frames, report.masks) == (
        others.clips,
        others.frames,
        others.masks,
    )
    assert file_bytes(tmp_path / "set") == file_bytes(tmp_path / "others")
    assert validate(tmp_path / "set") == []
    with pytest.raises(LabelerError, match="was changed after it was recorded"):
        export_mvps(workspace, tmp_path / "alone", clips=["in-part"])
    path.write_bytes(kept)
    (workspace.frames(clip).folder / "00007.jpg").unlink()
    with pytest.raises(LabelerError, match=r"00007\.jpg is missing; run `mvps doctor`"):
        export_mvps(workspace, tmp_path / "alone", clips=["in-part"])
    assert not (tmp_path / "alone").exists()
