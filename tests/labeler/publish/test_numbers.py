"""Frames keep the numbers that they came in with, on the way out and for every reader."""

import sqlite3
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from labeler.clip import Clip, Numbering
from labeler.errors import LabelerError
from labeler.inspect.statistics import measure_dataset
from labeler.layouts.clips_table import COLUMNS, has_clips_table, read_clips
from labeler.layouts.layout import WRITTEN, Layout
from labeler.layouts.mvps import open_dataset
from labeler.publish.export import export_mvps
from labeler.publish.other_layouts import export_as
from labeler.publish.resize import resize_dataset
from labeler.publish.validate import validate
from labeler.workspace.workspace import Workspace
from model.data.folders import clips_from
from model.measure.truth import load_truth
from tests.labeler.importing import ONE, take
from tests.labeler.made_foreign import made_davis
from tests.workspaces import file_bytes

NUMBERS = [range(1, 12), range(0, 55, 5), range(101, 156, 5)]
"""From 1; in steps; both."""


def made(folder: Path, numbers: range) -> Path:
    masked = dict.fromkeys(numbers[::5], ONE)
    return made_davis(folder, {"walk": masked, "run": masked}, numbers)


def export(workspace: Workspace, layout: Layout, target: Path) -> Path:
    export_as(layout, target, partial(export_mvps, workspace))
    return target


def numbers_in(folder: Path, part: str, suffix: str) -> set[int]:
    paths = [path for path in folder.rglob(f"walk/*{suffix}") if part in str(path)]
    return {int(path.stem) for path in paths}


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("layout", WRITTEN)
def test_an_export_names_frames_as_they_came_in(
    workspace: Workspace, tmp_path: Path, numbers: range, layout: Layout
) -> None:
    taken = take(workspace, made(tmp_path / "set", numbers))["walk"]
    assert taken.clip is not None
    assert taken.clip.numbering == Numbering(numbers.start, numbers.step)
    assert taken.clip == workspace.clip("walk")
    described = workspace.clip_folder("walk") / "clip.json"
    assert Clip.from_json(described.read_text()) == taken.clip
    folder = export(workspace, layout, tmp_path / "out")
    assert numbers_in(folder, "", ".jpg") == set(numbers)
    if layout is not Layout.COCO:
        assert numbers_in(folder, "Annotations", ".png") == set(numbers[::5])

    back = Workspace(tmp_path / "back")
    again = take(back, folder)["walk"]
    assert again.clip is not None
    assert again.masks == 3
    assert again.clip.numbering == taken.clip.numbering
    assert again.clip.fps == taken.clip.fps == Fraction(24, numbers.step)
    assert file_bytes(export(back, layout, tmp_path / "again")) == file_bytes(folder)
    back.close()


@pytest.mark.parametrize("numbers", NUMBERS)
def test_every_reader_takes_the_same_frames(
    workspace: Workspace, tmp_path: Path, numbers: range
) -> None:
    """Evaluation, training and statistics, of the dataset itself and of its exports."""
    folder = made(tmp_path / "set", numbers)
    take(workspace, folder)
    folders = [
        folder,
        *(export(workspace, each, tmp_path / each) for each in (Layout.MVPS, Layout.DAVIS)),
    ]
    resize_dataset(tmp_path / Layout.MVPS)
    for each in folders:
        dataset = open_dataset(each)
        assert list(dataset.pictures("walk")) == list(range(11))
        assert dataset.annotated("walk") == [0, 5, 10]
        truth = load_truth(dataset, "walk")
        assert list(truth.truths) == [0, 5, 10]
        np.testing.assert_array_equal(truth.truths[10], ONE > 0)
        [measured] = clips_from(each, ["walk"])
        assert list(measured.frames) == [0, 5, 10]
        assert [still.image.name for still in measured.stills] == [
            f"{number:05d}.jpg" for number in numbers[::5]
        ]
        assert sum(len(clip.key_frames) for clip in measure_dataset(dataset).clips) == 6
    assert validate(tmp_path / Layout.MVPS) == []
    assert validate(tmp_path / Layout.DAVIS) == []


def test_a_missing_first_picture_is_found_by_its_number(
    workspace: Workspace, tmp_path: Path
) -> None:
    take(workspace, made(tmp_path / "set", range(1, 12)))
    folder = export(workspace, Layout.MVPS, tmp_path / "out")
    for path in folder.rglob("JPEGImages/*/walk/00001.jpg"):
        path.unlink()
    messages = [fault.message for fault in validate(folder)]
    assert "walk should have 11 pictures; missing: 00001." in messages
    with pytest.raises(LabelerError, match=r"not numbered 00001\.jpg and on without a gap"):
        open_dataset(folder).frames("walk")


def test_a_gap_is_no_step_and_a_mask_between_pictures_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path / "set", range(0, 55, 5))
    (folder / "JPEGImages/480p/walk/00020.jpg").unlink()
    with pytest.raises(LabelerError, match="without a gap"):
        open_dataset(folder).frames("walk")
    stray = folder / "Annotations/480p/run/00003.png"
    (folder / "Annotations/480p/run/00000.png").rename(stray)
    with pytest.raises(LabelerError, match=r"00003\.png belongs to no picture"):
        open_dataset(folder).masks("run")


def test_an_older_table_and_an_older_workspace_are_read(
    workspace: Workspace, tmp_path: Path
) -> None:
    take(workspace, made(tmp_path / "set", range(12)))
    table = export(workspace, Layout.MVPS, tmp_path / "out") / "clips.csv"
    lines = table.read_text().splitlines()
    for columns in (2, 3):
        older = [line.rsplit(",", columns)[0] for line in lines]
        table.write_text("\n".join(older) + "\n")
        assert older[0] == ",".join(COLUMNS[:-columns])
        assert has_clips_table(table.parent)
        assert {row.numbering for row in read_clips(table)} == {Numbering()}
    root, before = workspace.root, workspace.clips()
    workspace.close()
    with sqlite3.connect(root / "mvps.db") as database:
        for column in ("first_number", "number_step"):
            database.execute(f"ALTER TABLE clips DROP COLUMN {column}")
    upgraded = Workspace(root)
    assert upgraded.clips() == before
    upgraded.close()
