"""Datasets of other people become clips with accepted masks; what is damaged costs its clip."""

import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeler.clip import Scenario, read_image
from labeler.collect.import_dataset import Wanted, import_dataset
from labeler.errors import LabelerError
from labeler.layouts.layout import WRITTEN, Layout
from labeler.layouts.reading import find_dataset, layout_of
from labeler.revision import Provenance
from labeler.workspace.integrity import faults
from labeler.workspace.workspace import Workspace
from tests.labeler.importing import NEWS, ONE, columns, masks, take
from tests.labeler.made_datasets import made_dataset, made_picture, write_picture
from tests.labeler.made_foreign import SIZE, box, made_coco, made_davis, made_youtube, objects
from tests.workspaces import file_bytes


def test_jpeg_files_keep_their_bytes_and_others_are_encoded_once(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = made_davis(tmp_path / "set", {"jpeg": {0: ONE}, "png": {0: ONE}})
    for path in sorted((folder / "JPEGImages" / "480p" / "png").iterdir()):
        cv2.imwrite(str(path.with_suffix(".png")), read_image(path))
        path.unlink()
    taken = take(workspace, folder)
    assert {each.fault for each in taken.values()} == {""}
    frames = workspace.clip_folder("jpeg") / "frames"
    assert file_bytes(frames) == file_bytes(folder / "JPEGImages" / "480p" / "jpeg")
    source = read_image(folder / "JPEGImages" / "480p" / "png" / "00003.png").astype(int)
    ours = workspace.frames(workspace.clip("png"))[3].astype(int)
    assert np.abs(ours - source).mean() < 6
    before = file_bytes(workspace.root / "clips")
    assert not any(each.new or each.remarks for each in take(workspace, folder).values())
    assert file_bytes(workspace.root / "clips") == before


def test_the_dataset_and_the_rate_are_recorded(workspace: Workspace, tmp_path: Path) -> None:
    folder = made_davis(tmp_path / "their set", {"a": {0: ONE, 5: ONE}})
    take(workspace, folder)
    clip = workspace.clip("a")
    assert (clip.fps, clip.source, clip.scenario) == (24, "their set/a", Scenario.NEWS)
    for revision in workspace.revisions(clip):
        assert revision.author == "import:their set"
        assert revision.provenance is Provenance.ACCEPTED
        assert revision.area == columns(1).sum()
    other = made_davis(tmp_path / "other", {"b": {0: ONE}})
    take(workspace, other, Wanted(Scenario.LECTURE, rate=Fraction(30000, 1001)))
    assert workspace.clip("b").fps == Fraction(30000, 1001)
    with pytest.raises(LabelerError, match=r"'b' belongs to; give --scenario, one of"):
        take(workspace, other, Wanted())


def test_mvps_says_itself_what_its_clips_are(workspace: Workspace, tmp_path: Path) -> None:
    folder = made_dataset(tmp_path / "set")
    taken = take(workspace, folder, Wanted(Scenario.LECTURE, rate=Fraction(7)))
    assert [each.masks for each in taken.values()] == [3, 3]
    clip = workspace.clip("hike")
    assert (clip.scenario, clip.fps, clip.source) == (Scenario.NEWS, 25, "hike.mp4")
    assert clip.licence == "CC BY 4.0"
    assert (clip.width, clip.height) == (648, 486)
    small = Workspace(tmp_path / "small")
    take(small, folder, Wanted(), resolution="480p")
    assert (small.clip("hike").width, small.clip("hike").height) == (640, 480)
    small.close()
    with pytest.raises(LabelerError, match="has no 240p, only Full-Resolution and 480p"):
        find_dataset(folder, resolution="240p")


@pytest.mark.slow
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    masked=st.sets(st.integers(0, 29), min_size=1),
    layout=st.sampled_from(WRITTEN),
    data=st.data(),
)
def test_every_mask_keeps_its_frame_whatever_the_stride(
    tmp_path_factory: pytest.TempPathFactory, masked: set[int], layout: Layout, data: st.DataObject
) -> None:
    """Each mask is one only frame has, so that none can stand for another."""
    folder = tmp_path_factory.mktemp("any")
    made = {n: objects(*[1] * (n % 18 + 1), *[0] * (n // 18), 1) for n in sorted(masked)}
    clips = made_davis(folder / "davis", {"a": made}, range(30))
    pictures, annotations = (clips / tree / "480p" for tree in ("JPEGImages", "Annotations"))
    if layout is Layout.YOUTUBE_VOS:
        meta = {"a": {1: ("person", masked)}}
        clips = made_youtube(folder / "train", {"a": made}, meta, range(30))
    elif layout is Layout.MVPS:
        about = f"a,news,30,{len(masked)},25,{SIZE[0]},{SIZE[1]},,"
        header = "clip,scenario,frames,annotated,fps,width,height,source,sha256"
        (clips / "clips.csv").write_text(f"{header}\n{about}\n")
    elif layout is Layout.COCO:
        runs = {
            f"a/{n:05d}.jpg": [("person", run_lengths(mask > 0), 0)] for n, mask in made.items()
        }
        clips = made_coco(folder / "coco", runs, dict.fromkeys(runs, "a"))
        shutil.copytree(pictures, clips / "images", dirs_exist_ok=True)
    assert annotations.is_dir()
    assert layout_of(clips) is layout
    workspace = Workspace(folder / "workspace")
    stride = data.draw(st.none() | st.integers(1, 7))
    [taken] = take(workspace, clips, Wanted(Scenario.NEWS, stride=stride)).values()
    kept = {n: mask for n, mask in made.items() if stride is None or n % stride == 0}
    if kept:
        assert taken.masks == len(kept)
        found = masks(workspace, "a")
        assert list(found) == sorted(kept)
        for frame, mask in found.items():
            np.testing.assert_array_equal(mask, kept[frame] > 0)
    left_out = len(made) - len(kept)
    assert (f"{left_out} mask" in " ".join(taken.remarks)) == (left_out > 0)
    assert faults(workspace, deep=True) == []
    workspace.close()


def run_lengths(mask: np.ndarray) -> dict[str, object]:
    """COCO's uncompressed run lengths, down the columns."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    runs = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": runs}


def test_every_object_of_davis_is_a_portrait_and_void_is_background(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = made_davis(tmp_path / "set", {"a": {0: objects(1, 255, 2), 1: objects(0, 255)}})
    assert take(workspace, folder)["a"].remarks == (
        "2 masks with undecided (void) pixels, which are background here: frames 0, 1",
    )
    first, second = masks(workspace, "a").values()
    np.testing.assert_array_equal(first, columns(1, 0, 1))
    assert not second.any()
    whole = made_davis(tmp_path / "2016", {"b": {0: objects(0, 255)}})  # 255 is all there is
    assert take(workspace, whole)["b"].remarks == ()
    np.testing.assert_array_equal(masks(workspace, "b")[0], columns(0, 1))


# YouTube-VOS


def test_youtube_vos_numbers_every_fifth_frame_and_tells_people_from_dogs(
    workspace: Workspace, tmp_path: Path
) -> None:
    frames = [15, 20, 25]
    made_youtube(
        tmp_path / "set" / "train",
        {
            "both": {n: objects(1, 2, 3) for n in frames},
            "dog": {n: objects(1) for n in frames},
        },
        {
            "both": {1: ("person", frames), 2: ("dog", frames), 3: ("person", frames)},
            "dog": {1: ("dog", frames)},
        },
        frames,
    )
    found = find_dataset(tmp_path / "set")
    assert (found.layout, list(found.clips)) == (Layout.YOUTUBE_VOS, ["both"])
    assert [(x.name, x.reason, x.lost) for x in found.left_out] == [
        ("train/dog", "it shows no person (see --category)", False)
    ]
    [taken] = import_dataset(workspace, found, None, NEWS)
    clip = workspace.clip("both")
    assert (clip.frame_count, clip.fps, clip.stride, taken.masks) == (3, 6, 1, 3)
    np.testing.assert_array_equal(masks(workspace, "both")[1], columns(1, 0, 1))
    both = find_dataset(tmp_path / "set" / "train", categories=["dog", "person"])
    other = Workspace(tmp_path / "other")
    assert len(list(import_dataset(other, both, None, NEWS))) == 2
    np.testing.assert_array_equal(masks(other, "both")[1], columns(1, 1, 1))
    other.close()


def test_a_mask_in_which_a_person_is_not_outlined_is_left_out(
    workspace: Workspace, tmp_path: Path
) -> None:
    """As in YouTube-VOS's valid, which has each object in its first frame only."""
    split = made_youtube(
        tmp_path / "valid",
        {"a": {0: objects(1), 10: objects(0, 2), 15: objects(0, 2)}},
        {"a": {1: ("person", [0, 5, 10]), 2: ("person", [10, 15])}},
        range(0, 20, 5),
    )
    taken = take(workspace, split)["a"]
    assert taken.remarks == ("1 mask left out, without object 1 of meta.json: frame 2",)
    assert list(masks(workspace, "a")) == [0, 3]


# COCO


def test_pictures_of_coco_are_clips_of_one_frame(workspace: Workspace, tmp_path: Path) -> None:
    left = ("person", box(0, 0, 10, 24), 0)
    made_coco(
        tmp_path / "set",
        {
            "a.jpg": [left, ("person", run_lengths(columns(*[1] * 6)), 0)],
            "b.jpg": [("dog", box(0, 0, 10, 24), 0)],
            "c.jpg": [left, ("person", run_lengths(columns(1)), 1)],
            "d.jpg": [left, ("person", [], 0)],
        },
    )
    found = find_dataset(tmp_path / "set")
    assert (found.layout, sorted(found.clips)) == (Layout.COCO, ["a", "c", "d"])
    assert [(x.name, x.reason, x.lost) for x in found.left_out] == [
        ("images/b", "it shows no person (see --category)", False)
    ]
    taken = {each.name: each for each in import_dataset(workspace, found, None, NEWS)}
    assert taken["a"].masks == 1
    np.testing.assert_array_equal(masks(workspace, "a")[0], columns(*[1] * 6))
    assert taken["c"].clip is taken["d"].clip is None
    assert "without an outline of each person in a crowd (see --crowds)" in taken["c"].remarks[0]
    assert "1 mask left out, without an outline of each person: frame 0" in taken["d"].remarks[0]
    assert [clip.name for clip in workspace.clips()] == ["a"]
    take(workspace, tmp_path / "set", crowds=True)
    np.testing.assert_array_equal(masks(workspace, "c")[0], columns(*[1] * 5))


def test_pictures_of_one_video_or_folder_of_coco_are_a_clip(
    workspace: Workspace, tmp_path: Path
) -> None:
    person = [("person", box(0, 0, 10, 24), 0)]
    folder = made_coco(
        tmp_path / "set",
        {"a/00005.jpg": person, "a/00000.jpg": person, "b/x.jpg": person, "b/y.jpg": []},
        {"a/00005.jpg": "walk", "a/00000.jpg": "walk"},
    )
    for number in range(7):  # frames that nobody masked, beside those that the JSON names
        path = folder / "images" / "a" / f"{number:05d}.jpg"
        if not path.exists():
            write_picture(path, made_picture("a", number, SIZE))
    take(workspace, folder)
    assert [(clip.name, clip.frame_count) for clip in workspace.clips()] == [("walk", 7), ("x", 1)]
    assert list(masks(workspace, "walk")) == [0, 5]
    assert workspace.clip("walk").stride == 5
    take(workspace, folder, folders_are_clips=True)
    found = masks(workspace, "b")
    assert found[0].any()
    assert not found[1].any()
