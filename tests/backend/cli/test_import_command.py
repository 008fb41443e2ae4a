"""`mvps import` and `mvps export --format` as a person types them."""

from pathlib import Path

import pytest

from labeler.workspace.integrity import faults
from tests.backend.cli.test_cli import Terminal
from tests.labeler.made_foreign import made_davis, objects
from tests.workspaces import file_bytes


@pytest.fixture
def mvps(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "workspace")


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    return made_davis(tmp_path / "set", {name: {0: objects(1), 5: objects(1)} for name in "abc"})


def test_a_dataset_is_extended_and_goes_out_again(
    mvps: Terminal, davis: Path, tmp_path: Path
) -> None:
    _, err = mvps.run("import", davis, expect=1)
    assert "give --scenario, one of entertainment" in err
    out, _ = mvps.run("import", davis, "--scenario", "news", "--clip", "a", "--fps", "29.97")
    assert "a: 6 frames at 29.97 per second, 40x24, 2 masks, key frames every 5" in out
    assert "imported 1 clips with 6 frames and 2 masks; 0 clips were already there" in out
    picture = davis / "JPEGImages" / "480p" / "b" / "00002.jpg"
    kept = picture.read_bytes()
    picture.write_bytes(kept[:-40])
    out, err = mvps.run("import", davis, "--scenario", "news", expect=1)
    assert "imported 1 clips with 6 frames and 2 masks; 1 clips were already there" in out
    assert "b was not imported" in err.strip().splitlines()[-1]
    assert "00002.jpg is not a readable picture" in err
    picture.write_bytes(kept)
    mvps.run("import", davis, "--scenario", "news", "--format", "davis")
    before = file_bytes(mvps.root / "clips")
    out, err = mvps.run("import", davis, "--scenario", "news")
    assert "imported 0 clips with 0 frames and 0 masks; 3 clips were already there" in out
    assert err == ""
    assert file_bytes(mvps.root / "clips") == before
    for layout in ("davis", "youtube-vos", "coco"):
        out, _ = mvps.run("export", tmp_path / layout, "--format", layout)
        assert "3 clips, 18 frames, 6 masks" in out
        other = Terminal(tmp_path / f"from {layout}")
        out, _ = other.run("import", tmp_path / layout)
        assert "imported 3 clips with 18 frames and 6 masks" in out
        assert faults(other.workspace(), deep=True) == []


@pytest.mark.parametrize("rate", ["0", "-1", "x", "1/0"])
def test_a_rate_that_is_none_is_wrong_use(mvps: Terminal, davis: Path, rate: str) -> None:
    _, err = mvps.run("import", davis, "--scenario", "news", f"--fps={rate}", expect=2)
    assert "is no frame rate" in err
