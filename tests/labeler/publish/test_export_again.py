"""The second export: it writes what is new, carries nothing damaged, and moves no clip."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import labeler.publish.ledger
from labeler.errors import LabelerError
from labeler.publish.clip_faults import FaultKind
from labeler.publish.export import ListPlan, export_mvps
from labeler.publish.ledger import state_of
from labeler.publish.manifest import read_manifest
from labeler.publish.split import Split, read_split, write_split
from labeler.publish.validate import validate
from labeler.revision import Draft, Provenance
from labeler.workspace.workspace import Workspace
from tests.workspaces import file_bytes, make_clip, square

SIZE = (486, 648)
PICTURE = "JPEGImages/480p/lying/00003.jpg"
MASK = "Annotations/Full-Resolution/upright/00005.png"
ACCEPTED = Provenance.ACCEPTED


def accept(workspace: Workspace, name: str, size: tuple[int, int] = SIZE) -> None:
    clip = make_clip(workspace, name, frame_count=11, size=size)
    for index in clip.key_frames:
        mask = square(index, size)
        workspace.record(clip, index, mask, Draft("ann", ACCEPTED))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two accepted clips, and their export."""
    root = tmp_path_factory.mktemp("made")
    workspace = Workspace(root / "workspace")
    accept(workspace, "lying")
    accept(workspace, "upright", (648, 486))
    workspace.close()
    return root


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(made / "workspace", tmp_path / "workspace")
    workspace = Workspace(tmp_path / "workspace")
    yield workspace
    workspace.close()


@pytest.fixture
def target(workspace: Workspace, tmp_path: Path) -> Path:
    """A first export of the workspace."""
    assert export_mvps(workspace, tmp_path / "set").written == 56
    return tmp_path / "set"


def inodes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_ino
        for path in folder.rglob("*")
        if path.suffix in {".jpg", ".png"}
    }


def afresh(workspace: Workspace, folder: Path) -> dict[str, bytes]:
    """What an export to a folder that knows nothing of earlier ones gives."""
    export_mvps(workspace, folder, lists=ListPlan(keep=folder.parent / "set"))
    return file_bytes(folder)


def test_an_unchanged_workspace_writes_nothing(workspace: Workspace, target: Path) -> None:
    before, first = file_bytes(target), inodes(target)
    for _ in range(2):
        report = export_mvps(workspace, target)
        assert (report.written, report.mended) == (0, ())
        assert file_bytes(target) == before
        assert inodes(target) == first
        assert all(path.stat().st_nlink == 1 for path in target.rglob("*.*"))
    subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=target, check=True)
    assert set(read_manifest(target)) == before.keys() - {"SHA256SUMS"}


def test_only_what_is_new_is_written(workspace: Workspace, target: Path, tmp_path: Path) -> None:
    clip = workspace.clip("lying")
    workspace.record(clip, 5, square(9, SIZE), Draft("bob", ACCEPTED))
    workspace.record(clip, 10, square(9, SIZE), Draft("bob"))  # accepted no more
    accept(workspace, "new", (60, 80))
    before = inodes(target)
    report = export_mvps(workspace, target)
    assert (report.written, report.masks) == (2 + 22 + 6, 8)
    changed = {name for name, inode in inodes(target).items() if before.get(name) != inode}
    assert {name for name in changed if "/new/" not in name} == {
        "Annotations/Full-Resolution/lying/00005.png",
        "Annotations/480p/lying/00005.png",
    }
    assert len(changed) == report.written
    assert validate(target) == []
    assert file_bytes(target) == afresh(workspace, tmp_path / "other")


def test_a_frame_that_was_written_to_is_read_again(workspace: Workspace, target: Path) -> None:
    frames = workspace.frames(workspace.clip("lying")).folder
    shutil.copyfile(frames / "00001.jpg", frames / "00002.jpg")
    assert export_mvps(workspace, target).written == 2
    both = [target / f"JPEGImages/480p/lying/0000{n}.jpg" for n in (1, 2)]
    assert both[0].read_bytes() == both[1].read_bytes()
    assert validate(target) == []


def cut(path: Path) -> None:
    os.truncate(path, 100)


def one_byte_and_its_old_time(path: Path) -> None:
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_mtime_ns == times.st_mtime_ns


def replaced_by_another(path: Path) -> None:
    shutil.copy2(path.with_name("00000" + path.suffix), path)


def replaced_by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("00000" + path.suffix))


@pytest.mark.parametrize("name", [PICTURE, MASK])
@pytest.mark.parametrize(
    "damage",
    [cut, one_byte_and_its_old_time, replaced_by_another, replaced_by_a_link, Path.unlink],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_file_is_noticed_and_written_anew(
    workspace: Workspace, target: Path, damage: Callable[[Path], None], name: str
) -> None:
    before = file_bytes(target)
    damage(target / name)
    assert {fault.rule for fault in validate(target)} & {
        FaultKind.MANIFEST_CHANGED,
        FaultKind.MANIFEST_MISSING,
    }
    report = export_mvps(workspace, target)
    assert (report.mended, report.written) == ((name,), 1)
    assert file_bytes(target) == before
    assert not (target / name).is_symlink()


def test_what_no_file_system_tells_is_never_carried_silently(
    workspace: Workspace, target: Path
) -> None:
    """A bit that turned on the disk leaves no trace but the digest in the manifest."""
    (ledger,) = (workspace.root / "exports").glob("*/files.tsv")
    told = state_of(target / PICTURE)
    one_byte_and_its_old_time(target / PICTURE)
    text = ledger.read_text()
    assert told in text
    ledger.write_text(text.replace(told, state_of(target / PICTURE)))
    assert export_mvps(workspace, target).mended == ()
    assert [(f.rule, f.path) for f in validate(target)] == [
        (FaultKind.MANIFEST_CHANGED, target / PICTURE)
    ]
    assert export_mvps(workspace, target).written == 0


def test_a_copy_of_an_export_is_read_and_kept(workspace: Workspace, target: Path) -> None:
    before = file_bytes(target)
    shutil.copytree(target, target.with_name("moved"))
    shutil.rmtree(target)
    target.with_name("moved").rename(target)
    for path in target.rglob("*.*"):
        os.utime(path)
    report = export_mvps(workspace, target)
    assert (report.written, report.mended) == (0, ())
    assert file_bytes(target) == before


def old_ledger(workspace: Workspace) -> None:
    """As after a kill between the swap and the writing of the ledger."""


def half_a_ledger(workspace: Workspace) -> None:
    (ledger,) = (workspace.root / "exports").glob("*/files.tsv")
    os.truncate(ledger, ledger.stat().st_size // 2)


def no_ledger(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / "exports")


def a_file_in_its_place(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / "exports")
    (workspace.root / "exports").touch()


@pytest.mark.parametrize("fate", [old_ledger, half_a_ledger, no_ledger, a_file_in_its_place])
def test_whatever_becomes_of_the_ledger_the_export_is_right(
    workspace: Workspace, target: Path, tmp_path: Path, fate: Callable[[Workspace], None]
) -> None:
    (ledger,) = (workspace.root / "exports").glob("*/files.tsv")
    kept = ledger.read_bytes()
    clip = workspace.clip("lying")
    workspace.record(clip, 5, square(9, SIZE), Draft("bob", ACCEPTED))
    export_mvps(workspace, target)
    ledger.write_bytes(kept)
    fate(workspace)
    export_mvps(workspace, target)
    assert validate(target) == []
    assert file_bytes(target) == afresh(workspace, tmp_path / "other")


def test_another_recipe_makes_everything_anew(
    workspace: Workspace, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file_bytes(target)
    monkeypatch.setattr(labeler.publish.ledger, "RECIPE", "1 jpeg=95 opencv=9.0")
    assert export_mvps(workspace, target).written == 56
    assert export_mvps(workspace, target).written == 0
    assert file_bytes(target) == before


def test_where_there_are_no_links_files_are_copied(
    workspace: Workspace, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    before = file_bytes(target)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert export_mvps(workspace, target).written == 0
    assert file_bytes(target) == before


# The lists


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Workspace]:
    """Ten small accepted clips."""
    workspace = Workspace(tmp_path / "many")
    for name in "abcdefghij":
        accept(workspace, name, (60, 80))
    yield workspace
    workspace.close()


def test_a_clip_never_changes_its_list_between_two_exports(many: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "set"
    export_mvps(many, target, clips=["a", "b", "c", "d", "e"])
    first = read_split(target)
    assert first == Split(("b", "c", "e"), ("a", "d"))
    plan = ListPlan(seed=7, test_share=1)
    export_mvps(many, target, clips=["b", "d", "f"], lists=plan)  # a, c and e are out
    second = read_split(target)
    assert second is not None
    assert "b" in second.train
    assert "d" in second.test
    export_mvps(many, target, lists=ListPlan(seed=3, stratified=True))
    third = read_split(target)
    assert third is not None
    assert {*first.train, *second.train} <= set(third.train)
    assert {*first.test, *second.test} <= set(third.test)
    assert validate(target) == []


def test_lists_that_a_person_wrote_are_kept(many: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "set"
    export_mvps(many, target)
    mine = Split(("a", "b", "c", "d", "e"), ("f", "g", "h", "i", "j"))
    assert read_split(target) != mine
    write_split(target, mine)
    export_mvps(many, target)
    assert read_split(target) == mine
    export_mvps(many, tmp_path / "other", lists=ListPlan(keep=target))
    assert read_split(tmp_path / "other") == mine
    export_mvps(many, target, lists=ListPlan(anew=True))
    assert read_split(target) == read_split_of_a_fresh_export(many, tmp_path / "fresh") != mine
    write_split(target, Split(("a", "b"), ("b",)))
    before = file_bytes(target)
    with pytest.raises(LabelerError, match="have b both in"):
        export_mvps(many, target)
    assert file_bytes(target) == before
    with pytest.raises(LabelerError, match="name the folder of a dataset"):
        export_mvps(many, target, lists=ListPlan(keep=tmp_path))


def read_split_of_a_fresh_export(workspace: Workspace, folder: Path) -> Split | None:
    export_mvps(workspace, folder)
    return read_split(folder)


def test_a_deleted_export_is_forgotten(many: Workspace, tmp_path: Path) -> None:
    target = tmp_path / "set"
    export_mvps(many, target, lists=ListPlan(seed=1))
    lists = read_split(target)
    shutil.rmtree(target)
    assert export_mvps(many, target, lists=ListPlan(seed=2)).mended == ()
    assert read_split(target) != lists
    shutil.rmtree(target)
    export_mvps(many, tmp_path / "elsewhere", clips=["a"])
    assert len(list((many.root / "exports").iterdir())) == 1
