"""Files that other tools wrote: each comes in right, or is refused by name."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from labeler.collect.import_plan import plan_import
from labeler.errors import LabelerError
from labeler.layouts.reading import find_dataset
from labeler.mask import read_mask
from labeler.workspace.workspace import Workspace
from tests.labeler.importing import masks, take

ROOT = Path(__file__).resolve().parents[3]


def areas(workspace: Workspace) -> dict[str, list[int]]:
    return {
        clip.name: [int(mask.sum()) for mask in masks(workspace, clip.name).values()]
        for clip in workspace.clips()
    }


@pytest.mark.parametrize(
    ("case", "right"),
    [
        ("03-coco-flat-polygon", {"a": [1600]}),
        ("08-coco-string-ids", {"a": [1600]}),
        ("09-coco-backslash-file-name", {"a": [1600]}),
        ("11-coco-category-Person", {"a": [1600]}),
        ("21-davis-uppercase-masks", {"walk": [1600] * 3}),
        ("24-ytvos-void-no-meta", {"walk": [1600] * 3}),
        ("25-lvos-eight-digits", {"a": [1600] * 3}),
        ("29-davis-grey-index-masks", {"a": [1600] * 2}),
        (
            "53-coco-names-collide",
            {"ShiPin": [1600], "ZhaoPian": [1600], "a_b": [1600], "a_b_2": [1600]},
        ),
    ],
)
def test_it_comes_in_right(
    workspace: Workspace, shared_cases: Path, case: str, right: dict[str, list[int]]
) -> None:
    taken = take(workspace, shared_cases / case)
    assert [each.fault for each in taken.values()] == [""] * len(taken)
    assert areas(workspace) == right
    assert not plan_import(find_dataset(shared_cases / case)).lost


def test_a_line_is_no_outline(workspace: Workspace, shared_cases: Path) -> None:
    taken = take(workspace, shared_cases / "01-coco-two-point-polygon")["a"]
    assert taken.clip is None
    assert "without an outline of each person" in taken.remarks[0]


def test_frames_are_in_order_of_number(workspace: Workspace, shared_cases: Path) -> None:
    take(workspace, shared_cases / "04-coco-unpadded-frame-names", folders_are_clips=True)
    clip = workspace.clip("walk")
    theirs = shared_cases / "04-coco-unpadded-frame-names" / "images" / "walk"
    assert clip.frame_count == 12
    for index in range(12):
        ours = workspace.frames(clip).folder / f"{index:05d}.jpg"
        assert ours.read_bytes() == (theirs / f"frame_{index + 1}.jpg").read_bytes()


def test_pictures_that_share_an_id_are_refused_by_name(shared_cases: Path) -> None:
    plan = plan_import(find_dataset(shared_cases / "06-coco-duplicate-image-id"))
    assert not plan.clips
    assert [each.name for each in plan.lost] == ["a.jpg", "b.jpg"]
    assert all("2 pictures with the id 1" in each.reason for each in plan.lost)


@pytest.mark.slow
def test_a_number_that_is_none_costs_its_picture_alone(shared_cases: Path, tmp_path: Path) -> None:
    """It is run apart, because it once took all memory of the machine."""
    command = [sys.executable, "-m", "backend", "-w", tmp_path / "workspace", "import"]
    command += [shared_cases / "54-coco-nan-polygon", "--scenario", "news"]
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (8 * 10**9, 8 * 10**9)),
    )
    assert done.returncode == 1
    assert "b: 1 frames" in done.stdout
    assert "the coordinate nan, far outside the picture of 96x80" in done.stderr
    assert "Traceback" not in done.stderr


RIGHT = 3600
REFUSED = {"h-jpeg-as", "j-soft", "n-ffmpeg-pal8"}


@pytest.mark.parametrize(
    "form",
    [
        *("a-pillow-quantize", "b-pillow-adaptive", "c-one-bit", "d-rgba-opaque"),
        *("e-rgba-transparent-bg", "f-la-alpha", "g-16bit", "h-jpeg-as", "i-254", "j-soft"),
        *("k-convert-P", "l-trns", "n-ffmpeg-pal8"),
    ],
)
def test_a_mask_in_the_form_of_any_tool_is_right_or_refused_with_a_cure(
    shared_cases: Path, form: str
) -> None:
    path = shared_cases / "52-correct-mask-forms" / f"{form}.png"
    if form in REFUSED:
        with pytest.raises(LabelerError, match="save it again"):
            read_mask(path, (96, 128))
    else:
        assert int(read_mask(path, (96, 128)).sum()) == RIGHT
