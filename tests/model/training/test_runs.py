"""Runs of frames, as a network that walks through a clip learns from them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.data.folders import clips_from
from model.data.sources import Sources
from model.engine import bundled_weights, trainable_engine
from model.samples.catalogue import StoredTake
from model.samples.sample_recipe import RUNS, SourceKind
from model.samples.scene import clip_run
from model.samples.training_data import TrainingData
from model.training import run as training_run
from model.training.run import CardDraft, TrainingSettings
from tests.model.made_sources import made_sources, made_takes


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return made_sources(tmp_path_factory.mktemp("sources"))


def test_a_run_leads_up_to_its_target_and_gaps_are_even():
    take = StoredTake(tuple(range(100, 140)), tuple(range(0, 80, 2)), 80)
    rng = np.random.default_rng(0)
    for target in (0, 20, 39):
        gaps = set()
        for _ in range(200):
            target_shot, *shots = clip_run(rng, take, target, 3, 6)
            assert (target_shot.position, target_shot.distance) == (100 + target, 0.0)
            frames = [take.frames[shot.position - 100] for shot in shots]
            distances = [abs(frame - take.frames[target]) for frame in frames]
            assert distances == sorted(distances, reverse=True)
            assert np.allclose([shot.distance for shot in shots], np.array(distances) / 80)
            gaps.add(frames[2] - take.frames[target])
        # Up to six frames, of which every second has a mask; backward where that is possible.
        assert max(map(abs, gaps)) == 6
        assert (min(gaps) < 0) == (target > 0)
        assert (max(gaps) > 0) == (target < 39)


def test_only_the_first_frame_of_a_run_has_a_mask(sources):
    data = TrainingData(sources, replace(RUNS, size=96), batch_size=2)
    kinds = Counter()
    for index in range(100):
        sample = data.sample(index)
        kinds[sample.kind] += 1
        assert [reference.given for reference in sample.references] == [True, False, False]
        distances = [reference.distance for reference in sample.references]
        assert distances == sorted(distances, reverse=True)
        assert all(not reference.guide.any() for reference in sample.references[1:])
    assert set(kinds) == {
        SourceKind.CLIP,
        SourceKind.STILL,
        SourceKind.COMPOSITE,
        SourceKind.OBJECT,
    }


def test_runs_grow_harder_in_a_training_of_known_length(sources):
    data = TrainingData(sources, replace(RUNS, size=96), batch_size=2)
    data.length = 400
    assert {data.sample(index).kind for index in range(60)} == {
        SourceKind.STILL,
        SourceKind.COMPOSITE,
    }
    assert {data.sample(index).kind for index in range(100, 160)} >= {
        SourceKind.CLIP,
        SourceKind.OBJECT,
    }
    assert [data._gap(index) for index in (0, 28, 140, 280, 399)] == [1, 1, 5, 10, 10]
    data.length = None
    assert data._gap(0) == 10


def test_a_close_run_is_seen_from_one_place(tmp_path):
    """Whoever walks through the picture walks through the samples too."""
    takes = clips_from(made_takes(tmp_path, ("walk",), frames=21))
    recipe = replace(RUNS, size=96, light=0.0, motion=0.0, close=1.0, clips=1.0, composites=0.0)
    data = TrainingData(Sources(clips=takes), recipe)
    moved = 0
    for index in range(40):
        sample = data.sample(index)
        masks = [reference.mask for reference in sample.references] + [sample.mask]
        centres = [np.flatnonzero(mask.any(axis=0)).mean() for mask in masks if mask.any()]
        moved += len(centres) == 4 and abs(centres[-1] - centres[0]) > 3
    assert moved > 20


@pytest.mark.training
@pytest.mark.parametrize("start", [None, bundled_weights()["gam-small"]])
def test_weights_that_are_gone_on_with_begin_with_the_hard_runs(
    sources, tmp_path, monkeypatch, start
):
    made = []

    class Seen(TrainingData):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(training_run, "TrainingData", Seen)
    training_run.train(
        sources,
        replace(trainable_engine("gam").recipe(), size=32, batch_size=1),
        tmp_path,
        TrainingSettings(torch.device("cpu"), steps=4, start=start),
        CardDraft(["squares"], "ours"),
    )
    assert made[0].length == (4 if start is None else None)
    assert (made[0]._gap(0) == 1) == (start is None)
