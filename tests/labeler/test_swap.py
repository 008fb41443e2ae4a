"""A folder is replaced as a whole or not at all, whatever goes wrong and whenever."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labeler.errors import LabelerError
from labeler.files import replacing, scratch_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    target = tmp_path / "set"
    target.mkdir()
    (target / "old").touch()
    return target


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("there", ["nothing", "empty", "full", "link"])
def test_the_new_folder_is_in_place_and_nothing_else_is_left(
    tmp_path: Path, target: Path, there: str
) -> None:
    given = target
    if there != "full" and there != "link":
        (target / "old").unlink()
    if there == "nothing":
        target.rmdir()
    if there == "link":
        given = tmp_path / "link"
        given.symlink_to(target)
    with replacing(given) as folder:
        (folder / "new").touch()
        assert not (target / "new").exists()
    assert names(target) == names(given) == ["new"]
    assert names(tmp_path) == sorted({"set", given.name})
    umask = os.umask(0)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.parametrize("error", [KeyboardInterrupt(), LabelerError("no"), ValueError()])
def test_after_a_failure_the_old_folder_is_as_it_was(
    tmp_path: Path, target: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)), replacing(target):
        raise error
    assert names(target) == ["old"]
    assert names(tmp_path) == ["set"]


def test_a_full_disk_is_one_sentence(tmp_path: Path, target: Path) -> None:
    said = "could not be written.*No space left.*unchanged"
    with pytest.raises(LabelerError, match=said), replacing(target):
        raise OSError(28, "No space left on device")
    assert names(target) == ["old"]
    assert names(tmp_path) == ["set"]


def test_a_failure_between_the_two_renames_puts_the_old_folder_back(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def refuse_new(path: Path, to: Path) -> Path:
        if path.name == "new":
            raise OSError(16, "Device or resource busy")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(LabelerError, match="resource busy"), replacing(target):
        pass
    assert names(target) == ["old"]
    assert names(tmp_path) == ["set"]


def test_what_a_live_process_is_writing_is_left_alone(tmp_path: Path, target: Path) -> None:
    partial = tmp_path / ".set.partial"
    with scratch_folder(partial) as other:
        (other / "new").mkdir()
        with replacing(target) as folder:
            (folder / "new").touch()
        assert names(other) == ["new"]
    assert names(target) == ["new"]


def test_a_kill_at_any_line_leaves_a_whole_folder_to_the_next_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.labeler.kill_while_replacing", str(tmp_path / "trial")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) > 20
    assert results[-1]["survived"]
    assert results[-1]["killed"] == ["new"]
    for result in results:
        assert result["next_start"] in (["old"], ["new"]), result
        assert result["killed"] in (result["next_start"], ["none"]), result
        assert result["left"] == ["set"], result
    # The instant between the two renames is among the lines.
    assert ["none"] in [result["killed"] for result in results]
