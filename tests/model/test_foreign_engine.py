"""An engine of another package goes through the whole product, and no file of ours knows of it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labeler.mask import encode_mask
from labeler.revision import Provenance
from labeler.workspace.workspace import Workspace
from model.card import read_card
from model.registry import ModelRegistry
from tests.accepted import FRAMES, accepted_clip, figure, picture
from tests.labeler.made_datasets import write_mask, write_picture

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the package as pip would have installed it."""
    folder = tmp_path_factory.mktemp("site-packages")
    shutil.copyfile(ROOT / "tests" / "toy" / "toy_engine.py", folder / "toy_engine.py")
    about = folder / "toy_engine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-engine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[mvps.engines]\ntoy = toy_engine:ENGINE\n")
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A dataset in DAVIS's layout: a light figure before dark backgrounds."""
    folder = tmp_path_factory.mktemp("clips")
    for seed in range(1, 4):
        for frame in range(FRAMES):
            stem = f"480p/clip{seed}/{frame:05d}"
            write_picture(folder / "JPEGImages" / f"{stem}.jpg", picture(frame, seed))
            write_mask(folder / "Annotations" / f"{stem}.png", figure(frame, seed))
    return folder


def run(installed: Path, *arguments: object, fails: int = 0) -> str:
    """A command with the package at hand, in a process of its own; what it said."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(installed), "MVPS_JUDGE_CLIPS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == fails, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_it_is_trained_masks_is_corrected_judged_and_promoted(installed, clips, tmp_path):
    weights = tmp_path / "weights"
    options = ("--portraits", clips, "--steps", 2, "--device", "cpu", "--option", "close-up-size=0")
    run(installed, "model", "train", "--engine", "toy", "--out", weights, *options)
    card = read_card(weights)
    assert (card.engine, card.configuration, card.training["steps"]) == ("toy", "toy-tiny", 2)

    report = tmp_path / "evaluation"
    run(installed, "model", "evaluate", clips, "--model", weights, "--given", 1, "-o", report)
    assert json.loads((report / "evaluation.json").read_text())["model_version"] == (
        card.model_version
    )

    root = tmp_path / "workspace"
    with contextlib.closing(Workspace(root)) as workspace:
        for seed in range(1, 6):
            accepted_clip(workspace, f"clip{seed}", seed)
        clip = accepted_clip(workspace, "new", 6, masked=False)
    mvps = ("backend", "-w", root)
    run(installed, *mvps, "preannotate", "new", "--model", weights)
    with contextlib.closing(Workspace(root)) as workspace:
        before = workspace.current(clip)
        assert {each.model_version for each in before.values()} == {card.model_version}
    (tmp_path / "mask.png").write_bytes(encode_mask(figure(5, 6)))
    run(installed, *mvps, "correct", "new", 5, tmp_path / "mask.png", "--model", weights)
    with contextlib.closing(Workspace(root)) as workspace:
        after = workspace.current(clip)
        assert after[5].provenance is Provenance.CORRECTED
        np.testing.assert_array_equal(workspace.read(after[5]), figure(5, 6))
        assert all(after[frame].number == before[frame].number + 1 for frame in (0, 10))
        # It looks at no first frame: this is the choice that it makes itself.
        assert after[0].references == after[10].references != before[0].references

    # A champion that knows nothing, which any training beats.
    bad = tmp_path / "bad"
    run(installed, "model", "train", "--engine", "toy", "--out", bad, "--rate", 1e-9, *options)
    with contextlib.closing(Workspace(root)) as workspace:
        registry = ModelRegistry(workspace.root / "models")
        registry.promote(registry.keep(bad).model_version, "to begin with")
    train = ("--steps", 40, "--size", 64, "--batch-size", 2, "--rate", 0.05, "--device", "cpu")
    said = run(installed, *mvps, "train", "--from-workspace", *train)
    with contextlib.closing(Workspace(root)) as workspace:
        registry = ModelRegistry(workspace.root / "models")
        assert "Promoted" in said, said
        champion = read_card(registry.path(registry.champion or ""))
    assert (champion.engine, champion.parent) == ("toy", read_card(bad).model_version)


def test_where_it_is_not_installed_its_weights_are_refused_by_name(installed, clips, tmp_path):
    options = ("--portraits", clips, "--steps", 1, "--device", "cpu")
    run(installed, "model", "train", "--engine", "toy", "--out", tmp_path, *options)
    said = run(tmp_path, "model", "evaluate", clips, "--model", tmp_path, fails=1)
    assert "is for the engine 'toy', which this version does not have" in said


def test_a_package_that_cannot_be_imported_harms_nobody(installed, clips, tmp_path):
    about = tmp_path / "broken-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[mvps.engines]\nbroken = nowhere:ENGINE\n")
    said = run(tmp_path, "model", "evaluate", clips, "--model", "copy", "-o", tmp_path / "out")
    assert "The engine broken (nowhere:ENGINE) cannot be loaded: No module named 'nowhere'" in said


def test_no_file_of_the_project_knows_of_it():
    for package in ("labeler", "model", "backend", "scripts"):
        for path in (ROOT / package).rglob("*.py"):
            assert "toy" not in path.read_text().lower(), path
