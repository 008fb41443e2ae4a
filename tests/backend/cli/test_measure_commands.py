"""`mvps stats` and `mvps quality` as a person types them."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from backend.store import tables
from backend.studio.projects import Role, task_links
from labeler.review.crosscheck import record_check
from labeler.revision import Draft, Shown
from labeler.workspace.workspace import Workspace
from tests.backend.callers import predict
from tests.backend.cli.test_cli import Terminal
from tests.labeler.made_datasets import write_mask
from tests.labeler.made_portraits import mask_path, walk
from tests.workspaces import file_bytes, make_clip, square


@pytest.fixture
def mvps(workspace: Workspace) -> Terminal:
    return Terminal(workspace.root)


def connect(workspace: Workspace, project: int = 7) -> None:
    """As `mvps studio connect` leaves it, for the clip walk; another project has tasks as well."""
    workspace.database.complete(tables.metadata)
    with workspace.database.writing() as connection:
        for role, number in ((Role.LABELING, project), (Role.CHECK, project + 1)):
            row = {"role": role, "url": "http://studio:8080", "project": number}
            connection.execute(sa.insert(tables.projects).values(**row))
            for frame in (0, 5, 10, 15):
                row = {"project": number, "clip": "walk", "frame": frame, "fields": {}}
                task = 100 * number + frame
                connection.execute(sa.insert(tables.tasks).values(**row, task=task))


def test_masks_that_count_are_looked_at_and_lead_to_their_tasks(
    mvps: Terminal, workspace: Workspace
) -> None:
    clip = make_clip(workspace)
    for frame in clip.key_frames:
        predict(workspace, clip, frame)
    out, _ = mvps.run("quality", "--strict")
    assert out.strip() == "4 masks of 1 clips: nothing found"

    pinhole = square(10)
    pinhole[33:35, 30:32] = False
    revision = workspace.record(clip, 10, pinhole, Draft("ann"))
    other = make_clip(workspace, "run")
    predict(workspace, other, 0, np.zeros_like(pinhole))
    before = file_bytes(workspace.root / "clips")
    out, _ = mvps.run("quality", "walk")
    assert f"warning holes: walk frame 10, {workspace.mask_path(revision)}" in out
    assert "Fill the holes" in out
    assert "4 masks of 1 clips: holes 1" in out
    assert "http" not in out

    connect(workspace)
    link = "http://studio:8080/projects/7/data?task=710"
    assert link in mvps.run("quality")[0]
    first, second = json.loads(mvps.run("quality", "--json", "--strict", expect=1)[0])
    assert (first["clip"], first["rule"], first["task"]) == ("run", "empty", None)
    assert second == {
        "file": str(workspace.mask_path(revision)),
        "clip": "walk",
        "frame": 10,
        "rule": "holes",
        "severity": "warning",
        "message": "A hole of 4 pixels is at x 31, y 34.",
        "advice": "Fill the holes, unless the background shows through them.",
        "task": link,
    }
    assert len(task_links(workspace)) == 4
    assert file_bytes(workspace.root / "clips") == before

    workspace.record(clip, 10, square(10), Draft("ann"))
    assert "nothing found" in mvps.run("quality", "walk")[0]
    _, err = mvps.run("quality", "hike", expect=1)
    assert "There is no clip 'hike'" in err


def test_a_dataset_is_looked_at_without_a_workspace(mvps: Terminal, tmp_path: Path) -> None:
    walk(tmp_path / "set", "hike", frames=11)
    walk(tmp_path / "set", "lucia", frames=11)
    mvps.root = tmp_path / "nowhere"
    write_mask(mask_path(tmp_path / "set", "lucia", 10), np.zeros((239, 360), bool))
    out, _ = mvps.run("quality", "--dataset", tmp_path / "set")
    assert "fault size: lucia frame 10" in out
    assert "6 masks of 2 clips: size 1" in out
    mvps.run("quality", "--dataset", tmp_path / "set", "hike", "--strict")
    mvps.run("quality", "--dataset", tmp_path / "set", "lucia", "--strict", expect=1)
    _, err = mvps.run("quality", "--dataset", tmp_path / "set", "swing", expect=1)
    assert "There is no clip 'swing'" in err
    assert not mvps.root.exists()


def test_statistics_of_one_dataset_and_of_two(mvps: Terminal, tmp_path: Path) -> None:
    walk(tmp_path / "a" / "set", "hike", frames=11)
    walk(tmp_path / "b" / "set", "lucia", frames=21)
    report = tmp_path / "report"
    out, _ = mvps.run("stats", tmp_path / "a" / "set", "--out", report)
    assert str(report / "statistics.html") in out
    assert "GLCM entropy per clip, bits" in out
    (data,) = json.loads((report / "statistics.json").read_text())["datasets"]
    assert (data["name"], [clip["clip"] for clip in data["clips"]]) == ("set", ["hike"])
    out, _ = mvps.run(
        "stats", tmp_path / "a" / "set", tmp_path / "b" / "set", "-o", report, "--json"
    )
    assert json.loads(out) == json.loads((report / "statistics.json").read_text())
    names = [data["name"] for data in json.loads(out)["datasets"]]
    assert names == [str(tmp_path / "a" / "set"), str(tmp_path / "b" / "set")]
    _, err = mvps.run("stats", tmp_path / "a", expect=1)
    assert "neither an MVPS nor a DAVIS dataset" in err


def test_statistics_of_annotators_are_csv_and_a_folder_of_any_other_name_is_a_dataset(
    mvps: Terminal, workspace: Workspace, tmp_path: Path
) -> None:
    clip = make_clip(workspace)
    workspace.record(clip, 5, square(5), Draft("ann, of X", annotation="a", lead_time=12.5))
    workspace.record(clip, 10, square(10), Draft("ann, of X", annotation="b", lead_time=20.0))
    record_check(workspace, clip, 5, square(5), Draft("bob", look=Shown.CONFIRM))
    out, _ = mvps.run("stats", "annotators")
    ann, bob = csv.DictReader(io.StringIO(out))
    assert (ann["annotator"], ann["frames"], ann["seconds"]) == ("ann, of X", "2", "16.25")
    assert (ann["first_pass"], ann["region"], bob["checks"]) == ("1", "1.0", "1")
    out, _ = mvps.run("stats", "annotators", "--json")
    assert [each["annotator"] for each in json.loads(out)] == ["ann, of X", "bob"]
    for name in ("dataset", "annotators"):
        walk(tmp_path / name, "hike", frames=6)
        _, _ = mvps.run("stats", f"{tmp_path}/{name}", "--every", "5", "-o", tmp_path / "report")
        assert (tmp_path / "report" / "statistics.html").exists()
