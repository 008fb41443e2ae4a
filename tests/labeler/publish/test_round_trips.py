"""A workspace, written in each layout and read back into an empty workspace, is what it was."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from labeler.clip import Clip, Scenario, frame_name
from labeler.collect.import_dataset import Wanted, import_dataset
from labeler.errors import LabelerError
from labeler.layouts.coco.regions import module
from labeler.layouts.layout import WRITTEN, Layout
from labeler.layouts.mvps import open_dataset
from labeler.layouts.objects import read_objects
from labeler.layouts.reading import find_dataset
from labeler.publish.export import ListPlan, export_mvps
from labeler.publish.lists import split_dataset
from labeler.publish.locked import draw_locked
from labeler.publish.other_layouts import WRITERS, earlier_lists, export_as
from labeler.publish.validate import validate
from labeler.revision import Draft, Provenance
from labeler.workspace.integrity import faults
from labeler.workspace.workspace import Workspace
from tests.workspaces import file_bytes, make_clip, square

ROOT = Path(__file__).resolve().parents[3]
SIZES = {"wide": (61, 83), "tall": (90, 64), "in-part": (62, 84), "seldom": (64, 82)}
"""Height and width; each another, lest two clips are of the same pictures."""
MASKS = {"wide": (0, 5, 10), "tall": (0, 5, 10), "in-part": (5,), "seldom": (0, 10)}
OTHERS = [Layout.DAVIS, Layout.YOUTUBE_VOS, Layout.COCO]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips with all their key frames accepted, or some; in the tall one nobody is there yet."""
    workspace = Workspace(tmp_path_factory.mktemp("made") / "workspace")
    for name, frames in MASKS.items():
        size = SIZES[name]
        clip = make_clip(workspace, name, frame_count=12, size=size, scenario=Scenario.NEWS)
        for frame in frames:
            mask = square(frame, size)
            if (name, frame) == ("tall", 0):
                mask[:] = False
            workspace.record(clip, frame, mask, Draft("ann", Provenance.ACCEPTED))
    workspace.close()
    return workspace.root


@pytest.fixture
def workspace(made: Path) -> Iterator[Workspace]:
    workspace = Workspace(made)
    yield workspace
    workspace.close()


@pytest.fixture
def back(tmp_path: Path) -> Iterator[Workspace]:
    """Where it is read back."""
    workspace = Workspace(tmp_path / "back")
    yield workspace
    workspace.close()


def export(workspace: Workspace, layout: Layout, target: Path) -> Path:
    export_as(layout, target, partial(export_mvps, workspace))
    return target


def content(workspace: Workspace, clip: Clip) -> tuple[dict[str, bytes], dict[int, str]]:
    """The bytes of a clip's frames, and the pixels of its masks by frame."""
    masks = {frame: each.digest for frame, each in workspace.current(clip).items()}
    for frame, revision in workspace.current(clip).items():
        assert workspace.read(revision).shape == (clip.height, clip.width), frame
    return file_bytes(workspace.frames(clip).folder), masks


@pytest.mark.parametrize("layout", WRITTEN)
def test_frames_and_masks_come_back_as_they_were(
    workspace: Workspace, back: Workspace, tmp_path: Path, layout: Layout
) -> None:
    folder = export(workspace, layout, tmp_path / "set")
    taken = list(import_dataset(back, find_dataset(folder), None, Wanted()))
    assert [(each.name, each.new, each.masks, each.fault, each.remarks) for each in taken] == [
        (name, True, len(frames), "", ()) for name, frames in sorted(MASKS.items())
    ]
    for clip in back.clips():
        was = workspace.clip(clip.name)
        assert content(back, clip) == content(workspace, was)
        assert (clip.scenario, clip.fps, clip.source) == (was.scenario, was.fps, was.source)
        for revision in back.revisions(clip):
            assert (revision.provenance, revision.author) == (Provenance.ACCEPTED, "import:set")
    assert faults(back, deep=True) == []
    assert [clip.stride for clip in back.clips()] == (
        [5, 5, 5, 5] if layout in (Layout.MVPS, Layout.DAVIS) else [5, 10, 5, 5]
    )


@pytest.mark.parametrize("layout", OTHERS)
def test_what_was_imported_is_exported_as_the_same_bytes(
    workspace: Workspace, back: Workspace, tmp_path: Path, layout: Layout
) -> None:
    folder = export(workspace, layout, tmp_path / "set")
    first = file_bytes(folder)
    export(workspace, layout, folder)
    assert file_bytes(folder) == first
    list(import_dataset(back, find_dataset(folder), None, Wanted()))
    again = file_bytes(export(back, layout, tmp_path / "again"))
    del again["clips.csv"], first["clips.csv"]  # a clip is now known by its pictures
    assert again == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "back", "set"]


def test_davis_tools_find_a_mask_for_each_picture_and_no_void(
    workspace: Workspace, tmp_path: Path
) -> None:
    """What `DAVIS.get_all_masks` of davis2017-evaluation does with a folder."""
    folder = export(workspace, Layout.DAVIS, tmp_path / "set")
    mvps = open_dataset(export(workspace, Layout.MVPS, tmp_path / "mvps"))
    for year in ("2016", "2017"):
        for name, own in (("train", "train"), ("val", "test")):
            listed = (folder / "ImageSets" / year / f"{name}.txt").read_text().split()
            assert listed == list(mvps.split(own))
    for resolution in ("480p", "Full-Resolution"):
        for clip, frames in MASKS.items():
            stems = [frame_name(frame) for frame in frames]
            pictures = folder / "JPEGImages" / resolution / clip
            masks = folder / "Annotations" / resolution / clip
            assert sorted(path.name for path in pictures.iterdir()) == [f"{s}.jpg" for s in stems]
            assert sorted(path.name for path in masks.iterdir()) == [f"{s}.png" for s in stems]
            for frame, path in zip(frames, sorted(masks.iterdir()), strict=True):
                objects = read_objects(path)
                assert set(np.unique(objects)) <= {0, 1}
                np.testing.assert_array_equal(objects == 1, mvps.mask(clip, frame, resolution))


def test_youtube_vos_names_the_frames_in_which_somebody_is(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = export(workspace, Layout.YOUTUBE_VOS, tmp_path / "set")
    videos = {}
    for split in ("train", "valid"):
        found = json.loads((folder / split / "meta.json").read_text())["videos"]
        assert sorted(found) == sorted(os.listdir(folder / split / "JPEGImages"))
        videos |= found
    assert videos["tall"] == {
        "objects": {"1": {"category": "person", "frames": ["00005", "00010"]}}
    }
    for split in ("train", "valid"):
        for clip in (folder / split / "JPEGImages").iterdir():
            masks = folder / split / "Annotations" / clip.name
            assert {p.stem for p in clip.iterdir()} == {p.stem for p in masks.iterdir()}
            whole = folder / f"{split}_all_frames" / "JPEGImages" / clip.name
            assert len(list(whole.iterdir())) == 12


def test_pycocotools_reads_the_same_masks(workspace: Workspace, tmp_path: Path) -> None:
    folder = export(workspace, Layout.COCO, tmp_path / "set")
    seen = {name: {} for name in MASKS}
    for split in ("train", "val"):
        with contextlib.redirect_stdout(io.StringIO()):
            coco = module("coco").COCO(folder / "annotations" / f"instances_{split}.json")
        for image in coco.loadImgs(coco.getImgIds()):
            assert (folder / "images" / image["file_name"]).is_file()
            assert image["license"] in {each["id"] for each in coco.dataset["licenses"]}
            name, file = image["file_name"].split("/")
            mask = np.zeros((image["height"], image["width"]), bool)
            for each in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]])):
                with warnings.catch_warnings():  # pycocotools is older than numpy 2
                    warnings.simplefilter("ignore", DeprecationWarning)
                    mask |= coco.annToMask(each).astype(bool)
                rows, columns = np.nonzero(mask)
                corner = [columns.min(), rows.min()]
                assert each["bbox"] == [*corner, np.ptp(columns) + 1, np.ptp(rows) + 1]
                assert each["area"] == mask.sum()
                assert coco.loadCats(each["category_id"])[0]["name"] == "person"
            seen[name][int(file[:5])] = mask
    for name, frames in MASKS.items():
        current = workspace.current(workspace.clip(name))
        assert tuple(sorted(seen[name])) == frames
        for frame, mask in seen[name].items():
            np.testing.assert_array_equal(mask, workspace.read(current[frame]))


@pytest.mark.parametrize("layout", OTHERS)
def test_a_killed_export_leaves_the_last_one(
    workspace: Workspace, tmp_path: Path, layout: Layout
) -> None:
    folder = tmp_path / "set"
    export_as(layout, folder, partial(export_mvps, workspace, clips=["wide"]))
    before = file_bytes(folder)
    program = [sys.executable, "-m", "tests.labeler.kill_while_converting"]
    done = subprocess.run(
        [*program, str(workspace.root), str(folder), layout.value],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert file_bytes(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".set.partial", "set"]
    export(workspace, layout, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
    assert len(find_dataset(folder).clips) == len(MASKS)


@pytest.mark.parametrize("layout", OTHERS)
def test_a_folder_of_somebody_else_is_not_replaced(
    workspace: Workspace, tmp_path: Path, layout: Layout
) -> None:
    folder = export(workspace, layout, tmp_path / "set")
    (folder / "README.md").write_text("mine")
    before = file_bytes(folder)
    with pytest.raises(LabelerError, match=r"also holds README\.md"):
        export(workspace, layout, folder)
    (folder / "clips.csv").unlink()
    with pytest.raises(LabelerError, match="is no dataset of an earlier export"):
        export(workspace, layout, folder)
    assert file_bytes(folder).keys() == before.keys() - {"clips.csv"}


@pytest.mark.parametrize("layout", OTHERS)
def test_only_a_finished_dataset_is_converted(
    workspace: Workspace, tmp_path: Path, layout: Layout
) -> None:
    def unfinished(name: str, target: Path) -> None:
        export_mvps(workspace, target)
        path = target / name
        path.write_text("") if path.suffix == ".txt" else path.unlink()

    for name, said in (
        ("clips.csv", r"has no clips\.csv"),
        ("ImageSets/train.txt", "is not in exactly one list"),
        ("JPEGImages/Full-Resolution/wide/00005.jpg", r"00005\.png is a mask without a picture"),
    ):
        with pytest.raises(LabelerError, match=said):
            export_as(layout, tmp_path / "set", partial(unfinished, name))
        assert list(tmp_path.iterdir()) == []


def test_the_real_clips_come_in_as_they_are_and_back_from_each_layout(
    shared_data: Path, tmp_path: Path
) -> None:
    first = Workspace(tmp_path / "first")
    source = find_dataset(shared_data / "video")
    assert source.layout is Layout.DAVIS
    taken = list(import_dataset(first, source, None, Wanted(Scenario.OUTDOOR_ACTIVITY)))
    assert sum(each.masks for each in taken) == 601
    for clip in first.clips():
        assert (clip.fps, clip.stride) == (24, 1)
        frames, masks = content(first, clip)
        theirs = shared_data / "video" / "JPEGImages" / "480p" / clip.name
        assert frames == file_bytes(theirs)
        for frame, revision in first.current(clip).items():
            path = shared_data / "video" / "Annotations" / "480p" / clip.name
            np.testing.assert_array_equal(
                first.read(revision), read_objects(path / f"{frame_name(frame)}.png") > 0
            )
        assert len(masks) == clip.frame_count
    few = ["lucia", "rollerblade"]  # an export takes its time
    mvps = tmp_path / "mvps"
    export_mvps(first, mvps, clips=few)
    for layout in WRITTEN:
        folder = mvps if layout is Layout.MVPS else tmp_path / layout.value
        if layout is not Layout.MVPS:
            WRITERS[layout][0](open_dataset(mvps), folder, None)
        second = Workspace(tmp_path / f"from {layout.value}")
        list(import_dataset(second, find_dataset(folder), None, Wanted()))
        assert [content(second, clip) for clip in second.clips()] == [
            content(first, first.clip(name)) for name in few
        ]
        second.close()
    first.close()


def test_the_tool_reads_its_own_davis_export_as_it_reads_mvps(
    workspace: Workspace, tmp_path: Path
) -> None:
    mvps = open_dataset(export(workspace, Layout.MVPS, tmp_path / "mvps"))
    folder = export(workspace, Layout.DAVIS, tmp_path / "davis")
    assert validate(folder) == []
    davis = open_dataset(folder)
    for clip in MASKS:
        assert davis.annotated(clip) == mvps.annotated(clip)
        assert len(davis.frames(clip)) == len(mvps.frames(clip)) == 12
        for frame in range(12):
            np.testing.assert_array_equal(davis.frames(clip)[frame], mvps.frames(clip)[frame])
    before = {name: text for name, text in file_bytes(folder).items() if "ImageSets" in name}
    report = split_dataset(folder)
    assert report.added == ()
    assert {n: t for n, t in file_bytes(folder).items() if "ImageSets" in n} == before
    split_dataset(folder, seed=7, anew=True)
    after = {name: text for name, text in file_bytes(folder).items() if "ImageSets" in name}
    assert after.keys() == before.keys()
    assert after["ImageSets/2016/val.txt"] == after["ImageSets/2017/val.txt"]


def test_no_id_is_in_both_files_of_coco(workspace: Workspace, tmp_path: Path) -> None:
    folder = export(workspace, Layout.COCO, tmp_path / "set")
    files = [json.loads(path.read_text()) for path in (folder / "annotations").iterdir()]
    assert len(files) == 2
    for kind in ("images", "annotations", "videos"):
        ids = [each["id"] for content in files for each in content[kind]]
        assert len(ids) == len(set(ids)) > 0


@pytest.mark.parametrize("layout", WRITTEN)
def test_lists_of_an_imported_dataset_stay(
    workspace: Workspace, back: Workspace, tmp_path: Path, layout: Layout
) -> None:
    plan = ListPlan(test_share=0.5, seed=3)
    folder = tmp_path / "set"
    export_as(layout, folder, partial(export_mvps, workspace, lists=plan))
    lists = {name: of for name, of in find_dataset(folder).lists.items() if of}
    assert sorted(lists.values()) == ["test", "test", "train", "train"]
    list(import_dataset(back, find_dataset(folder), None, Wanted()))
    assert {clip.name: clip.split for clip in back.clips()} == lists
    report = export_mvps(back, tmp_path / "again", lists=ListPlan(test_share=0.25, seed=9))
    assert report.moved == ()
    assert find_dataset(tmp_path / "again").lists == lists
    assert set(draw_locked(back).split.test) == {n for n, of in lists.items() if of == "test"}
    report = export_mvps(back, tmp_path / "anew", lists=ListPlan(test_share=1, anew=True))
    other = find_dataset(tmp_path / "anew").lists
    assert report.moved == tuple(sorted(name for name in lists if other[name] != lists[name]))
    assert report.moved


@pytest.mark.parametrize("layout", OTHERS)
def test_lists_of_an_export_to_the_same_folder_stay(
    workspace: Workspace, tmp_path: Path, layout: Layout
) -> None:
    folder = tmp_path / "set"
    export_as(layout, folder, partial(export_mvps, workspace, clips=["wide", "tall"]))
    first = {name: of for name, of in find_dataset(folder).lists.items() if of}
    plan = ListPlan(seed=5, test_share=0.25, earlier=earlier_lists(folder, layout))
    export_as(layout, folder, partial(export_mvps, workspace, lists=plan))
    second = find_dataset(folder).lists
    assert {name: second[name] for name in first} == first
