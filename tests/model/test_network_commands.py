"""`python -m model`: the commands of the network as a person types them."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from labeler.layouts.mvps import SMALL, mask_tree, picture_tree
from labeler.mask import encode_mask
from model.card import read_card
from model.engine import bundled_weights
from model.weights import load_model
from tests.model.made_sources import made_stills

ROOT = Path(__file__).parents[2]


def network(*arguments: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of a bright disc in DAVIS's layout, every frame masked."""
    folder = tmp_path_factory.mktemp("clips")
    for name in ("left", "right"):
        pictures, masks = picture_tree(folder, SMALL) / name, mask_tree(folder, SMALL) / name
        pictures.mkdir(parents=True)
        masks.mkdir(parents=True)
        for frame in range(11):
            rows, columns = np.ogrid[:96, :128]
            column = 40 + 4 * frame if name == "right" else 90 - 4 * frame
            mask = (rows - 48) ** 2 + (columns - column) ** 2 < 500
            image = np.full((96, 128, 3), 60, np.uint8)
            image[mask] = (80, 120, 220)
            cv2.imwrite(str(pictures / f"{frame:05d}.jpg"), image)
            (masks / f"{frame:05d}.png").write_bytes(encode_mask(mask))
    return folder


@pytest.mark.training
def test_train_evaluate_and_effort(clips, tmp_path):
    weights = tmp_path / "weights"
    options = ("--recipe", "quick", "--size", 64, "--batch-size", 2, "--steps", 3)
    done = network(
        "train", "--portraits", clips, "--out", weights, *options, "--held-out", "right",
        "--trained-on", "discs", "--device", "cpu", "--use-size", 96,
    )  # fmt: skip
    card = read_card(weights)
    assert "learning from 1 clips, 0 pictures of people" in done.stderr
    assert card.model_version in done.stdout
    assert card.training_data == ["discs"]
    assert (card.training["steps"], card.training["recipe"]) == (3, "quick")
    assert (card.training["size"], card.input_size, card.options) == (
        *(64, 96),
        {"close_up_size": 64},
    )
    assert set(card.scores) == {
        f"clips, {given}: {measure}"
        for given in ("unguided", "first mask given")
        for measure in "JF"
    }
    assert all(0 <= score <= 1 for score in card.scores.values())
    assert f"{card.scores['clips, unguided: J']:.3f}" in done.stdout
    assert (weights / "losses.png").exists()
    assert (weights / "losses.csv").read_text().count("\n") == 4

    said = network(
        "train", "--portraits", clips, "--out", weights, *options, "--held-out", "right",
        "--device", "cpu",
    ).stderr  # fmt: skip
    assert "holds a finished training of 3 steps: nothing is trained again" in " ".join(
        said.split()
    )
    assert read_card(weights).weights_sha256 == card.weights_sha256

    further = tmp_path / "further"
    again = (*options[:7], 1, "--start", weights, "--device", "cpu", "--option", "close-up-size=0")
    network("train", "--portraits", clips, "--out", further, *again)
    assert read_card(further).training["start"] == card.model_version
    assert read_card(further).options == {"close_up_size": 0}
    before, after = (load_model(folder)[1] for folder in (weights, further))
    moved = [
        (after[name].float() - before[name].float()).abs().max()
        for name in before
        if "weight" in name
    ]
    assert 0 < max(moved) < 0.1  # other first weights would be farther away

    done = network(
        "evaluate", clips, "--model", weights, "--clip", "right", "--given", 1,
        "--out", tmp_path / "evaluation", "--json", "--device", "cpu",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["model_version"] == card.model_version
    assert (tmp_path / "evaluation" / "evaluation.html").exists()

    done = network(
        "effort", clips, "--model", "copy", "--no-baselines", "--clip", "right",
        "--out", tmp_path / "effort",
    )  # fmt: skip
    assert "FC@85" in done.stdout
    assert (tmp_path / "effort" / "effort.png").exists()


@pytest.mark.slow
def test_pictures_are_evaluated(tmp_path):
    stills = made_stills(tmp_path / "stills", count=12)
    options = ("--model", "copy", "--pictures", "--out", tmp_path / "out", "--json")
    found = json.loads(network("evaluate", stills, *options, "--clip", "still1*").stdout)
    assert [clip["clip"] for clip in found["clips"]] == ["still1", "still10", "still11"]
    found = json.loads(network("evaluate", stills, *options, "--tenth").stdout)
    assert [clip["clip"] for clip in found["clips"]] == ["still7"]  # the tenth name of twelve
    assert (
        "no such picture" in network("evaluate", stills, *options, "--clip", "x", expect=1).stderr
    )


@pytest.mark.training
def test_a_time_budget_becomes_a_number_of_steps(clips, tmp_path):
    options = ("--recipe", "quick", "--size", 64, "--batch-size", 2, "--minutes", 0.2)
    network("train", "--portraits", clips, "--out", tmp_path, *options, "--device", "cpu")
    training = read_card(tmp_path).training
    assert training["steps"] > 1
    assert 0.1 < training["minutes"] <= 0.3


@pytest.mark.slow
def test_what_is_missing_is_named_before_training(clips, tmp_path):
    done = network("train", "--portraits", tmp_path, "--out", tmp_path / "out", expect=1)
    assert str(tmp_path) in done.stderr
    done = network("train", "--portraits", clips, "--recipe", "slow", expect=1)
    assert "there are: paper, quick" in done.stderr
    options = (
        "--recipe",
        "paper",
        "--start",
        bundled_weights()["pdnet-small"],
        "--out",
        tmp_path / "out",
    )
    done = network("train", "--portraits", clips, *options, expect=1)
    assert "weights of 'pdnet-small', but the recipe 'paper' trains 'pdnet'" in done.stderr
    done = network("train", "--portraits", clips, "--size", 100, expect=1)
    assert "multiple of 32" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_network_is_named_and_another_is_refused(clips, tmp_path):
    options = ("--recipe", "quick", "--network", "pdnet-lite2", "--size", 64, "--batch-size", 1)
    network(
        "train", "--portraits", clips, "--out", tmp_path, *options, "--steps", 1, "--device", "cpu"
    )
    assert read_card(tmp_path).configuration == "pdnet-lite2"
    done = network("train", "--portraits", clips, "--network", "gam-lite", expect=1)
    assert "pdnet has no size 'gam-lite'; it has pdnet, pdnet-small" in done.stderr
