import numpy as np
import pytest
import torch

from labeler.errors import LabelerError
from labeler.reference import ReferenceBook
from model.card import CARD_FILE, WEIGHTS_FILE, part_folders, read_card
from model.colours import sharpened
from model.engines import load_segmenter
from model.gam import CONFIGURATIONS, GAM
from model.pair_segmenter import PairSegmenter
from model.registry import ModelRegistry
from model.saved import save_model, save_parts
from model.segmenter import Segmentation, verbatim
from model.training.further import Budget, train_further
from tests.model.made_sources import made_sources
from tests.model.test_gam_segmenter import gam
from tests.model.test_segmenter import MadeFrames, book, disk, probabilities
from tests.tiny import tiny_weights


class Finder:
    """Finds a disc in every key frame, smaller and smaller, and is the surest of the third."""

    model_version = "finder"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def segment(self, frames, targets, references):
        for target in targets:
            self.asked.append(target)
            if (human := references.corrected(target)) is not None:
                yield verbatim(target, human.mask)
                continue
            rows, columns = np.ogrid[: frames.size[0], : frames.size[1]]
            radius = 30 - 0.6 * target
            near = (rows - 37) ** 2 + (columns - 60) ** 2 < radius**2
            doubt = 0.1 if target == 10 else 0.05 if target == 25 else 0.3
            yield Segmentation(target, np.float32(near) * (1 - doubt), doubt)


def pair(finder=None) -> PairSegmenter:
    return PairSegmenter(finder or Finder(), gam(), "pair")


def test_without_a_correction_the_surest_mask_is_carried():
    frames, finder = MadeFrames(30), Finder()
    engine = pair(finder)
    found = probabilities(engine, [5, 10, 20], ReferenceBook(), frames)
    own = probabilities(Finder(), [5, 10, 20], ReferenceBook(), frames)
    # Of frame 25 it is surer, but there is hardly anybody in it.
    surest = sharpened(frames[10], own[1]) >= 0.5
    seeded = probabilities(gam(), [5, 10, 20], book(f10=surest), frames)
    np.testing.assert_allclose(found, (own + seeded) / 2, atol=1e-6)
    asked = len(finder.asked)
    assert asked == 3 + 6
    probabilities(engine, [25], ReferenceBook(), frames)
    assert len(finder.asked) == asked + 1  # a clip's seed is looked for once


def test_once_a_person_corrected_nothing_of_the_seed_is_left():
    frames, references = MadeFrames(30), book(f15=disk(40))
    engine, targets = pair(), [5, 15, 20]
    probabilities(engine, [5], ReferenceBook(), frames)
    found = probabilities(engine, targets, references, frames)
    own = probabilities(Finder(), [5, 20], references, frames)
    carried = probabilities(gam(), [5, 20], references, frames)
    np.testing.assert_allclose(found[[0, 2]], (own + carried) / 2, atol=1e-6)
    np.testing.assert_array_equal(found[1], disk(40))


def test_a_clip_without_anybody_stays_empty():
    class Nobody(Finder):
        def segment(self, frames, targets, references):
            for target in targets:
                yield Segmentation(target, np.zeros(frames.size, np.float32), 0.0)

    found = list(pair(Nobody()).segment(MadeFrames(), [0], ReferenceBook()))
    assert [each.frame for each in found] == [0]
    assert not found[0].mask.any()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with weights of both engines and a card for them together."""
    folder = tmp_path_factory.mktemp("weights")
    tiny_weights(folder / "pdnet")
    torch.manual_seed(0)
    save_model(
        folder / "gam",
        GAM(CONFIGURATIONS["gam-small"]).half().state_dict(),
        engine="gam",
        configuration="gam-small",
        version="0.0.1",
        training_data=["made"],
        licence="none",
        input_size=64,
    )
    (folder / "foreign").mkdir()
    (folder / "foreign" / CARD_FILE).write_text("{")  # whatever else lies there
    parts = [folder / "pdnet", folder / "gam"]
    save_parts(
        folder / "pair", parts, engine="pdnet+gam", configuration="pair-small", version="1.0.0"
    )
    return folder


def test_weights_used_together_are_loaded_together(weights):
    segmenter, card = load_segmenter(str(weights / "pair"), device="cpu", colours=False)
    assert isinstance(segmenter, PairSegmenter)
    assert segmenter.model_version == card.model_version
    assert card.model_version.startswith("pair-small-1.0.0+")
    assert card.parts == [read_card(weights / name).model_version for name in ("pdnet", "gam")]
    assert "made" in card.training_data
    assert segmenter.finder.input_size == segmenter.carrier.input_size == 64
    found = probabilities(segmenter, [0, 5], ReferenceBook(), MadeFrames(8))
    assert found.shape == (2, 75, 131)


def test_a_registry_keeps_the_parts_with_the_whole(weights, tmp_path):
    registry = ModelRegistry(tmp_path / "models")
    card = registry.keep(weights / "pair")
    assert {each.model_version for each in registry.cards()} == {card.model_version, *card.parts}
    kept = registry.path(card.model_version)
    assert {path.name for path in kept.iterdir()} == {CARD_FILE}
    assert all((registry.folder / part / WEIGHTS_FILE).is_file() for part in card.parts)
    assert load_segmenter(None, models=registry.folder)[1].engine == "pdnet"
    registry.promote(card.model_version, "a test")
    assert load_segmenter(None, models=registry.folder)[1] == card


def test_a_part_that_is_missing_or_another_is_named(weights, tmp_path):
    registry = ModelRegistry(tmp_path / "models")
    card = registry.keep(weights / "pair")
    (registry.folder / card.parts[1] / CARD_FILE).rename(tmp_path / CARD_FILE)
    with pytest.raises(LabelerError, match=r"needs gam-small-0\.0\.1\+\w+, which is not beside"):
        load_segmenter(card.model_version, models=registry.folder)
    text = (tmp_path / CARD_FILE).read_text()
    other = text.replace(read_card(weights / "gam").weights_sha256, 64 * "0")
    (registry.folder / card.parts[1] / CARD_FILE).write_text(other)
    with pytest.raises(LabelerError, match="made for other weights"):
        part_folders(registry.path(card.model_version))


def test_both_parts_are_trained_further_and_stay_together(weights, tmp_path):
    steps = []
    sources = made_sources(tmp_path / "data")
    budget = Budget(steps=4, size=64, batch_size=2, rate=1e-4)
    card = train_further(
        sources,
        weights / "pair",
        tmp_path / "run" / "weights",
        budget,
        device=torch.device("cpu"),
        seed=1,
        version="1.0.1",
        data="more",
        progress=lambda where: steps.append((where.step, where.steps)),
    )
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    before = read_card(weights / "pair")
    assert card.model_version != before.model_version
    assert card.model_version.startswith("pair-small-1.0.1+")
    assert {"made", "more"} <= set(card.training_data)
    parts = [read_card(folder) for folder in part_folders(tmp_path / "run" / "weights")]
    assert [each.engine for each in parts] == ["pdnet", "gam"]
    assert [each.training["start"] for each in parts] == before.parts
    assert [each.input_size for each in parts] == [64, 64]
    assert load_segmenter(str(tmp_path / "run" / "weights"), device="cpu")[1] == card


def test_an_engine_that_is_not_known_is_named(weights, tmp_path):
    from dataclasses import replace

    from model.card import write_card

    registry = ModelRegistry(tmp_path / "models")
    card = registry.keep(weights / "pair")
    write_card(registry.path(card.model_version), replace(card, engine="gam+pdnet"))
    with pytest.raises(LabelerError, match=r"gam\+pdnet.*it has pdnet, gam, pdnet\+gam"):
        load_segmenter(card.model_version, models=registry.folder)
