"""Recipes fit the networks they are for, and say so where something that they want is missing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.engine import trainable_engine, trainable_engines
from model.engines.pdnet import learner as module
from model.engines.pdnet.recipes import LossWeights
from model.nn import bodies
from model.training import run as training_run

LITE = trainable_engine("pdnet").recipe("lite")


@pytest.mark.parametrize("engine", trainable_engines())
def test_recipes_name_what_there_is(engine):
    found = trainable_engine(engine)
    for recipe in found.recipes:
        assert recipe.engine == engine
        assert recipe.configuration in found.sizes
        assert set(recipe.further) <= set(found.sizes)


@pytest.mark.parametrize("engine", trainable_engines())
def test_every_network_is_retrained_by_one_recipe_of_its_engine(engine):
    found = trainable_engine(engine)
    further = [size for recipe in found.recipes for size in recipe.further]
    assert sorted(further) == sorted(found.sizes)


@pytest.fixture
def nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def test_the_semantic_loss_is_off_without_weights_and_says_so(nothing_at_hand, capsys):
    assert module.seeing_body(replace(LITE, losses=LossWeights(semantic=1.0))) is None
    said = " ".join(capsys.readouterr().err.split())
    assert "the semantic loss is off, as efficientnet-lite0 knows no pictures" in said
    assert "imagenet_body.py" in said


def test_the_semantic_loss_goes_by_a_body_of_its_own(monkeypatch, capsys):
    """Not the one in training: that begins elsewhere, and moves."""

    def fill(body: bodies.Body) -> None:
        torch.nn.init.constant_(body.conv1.weight, 0.125)

    monkeypatch.setattr(module, "load_imagenet", fill)
    recipe = replace(LITE, losses=LossWeights(semantic=1.0), imagenet=False)
    learner = training_run._learner(recipe, 0, None)
    frozen = learner.loss.semantic._frozen[0]
    assert bool((frozen.conv1.weight == 0.125).all())
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert not torch.equal(frozen.conv1.weight, learner.network.body.conv1.weight)
    assert not capsys.readouterr().err
    assert module.seeing_body(LITE) is None  # where the term counts for nothing
