import numpy as np
import pytest
import torch

from labeler.errors import LabelerError
from labeler.metrics import region_similarity
from labeler.reference import ReferenceBook, nearest_and_first
from model.card import CARD_FILE, WEIGHTS_FILE, ModelCard, part_folders, read_card
from model.drivers.colours import sharpened
from model.drivers.seeds import CERTAIN, LEAST_OVERLAP, SeededSegmenter, certain
from model.engines.gam.network import GAM
from model.engines.gam.recipes import CONFIGURATIONS
from model.loading import load_segmenter
from model.registry import ModelRegistry
from model.segmenter import Segmentation, verbatim
from model.training.further import Budget, train_further
from model.weights import save_model, save_parts
from tests.model.engines.gam.test_gam_segmenter import gam
from tests.model.engines.pdnet.test_segmenter import MadeFrames, book, disk, probabilities
from tests.model.made_sources import made_sources
from tests.tiny import tiny_weights


class Finder:
    """Finds a disc, as certain of each frame as it is told to be; follows what it is given."""

    model_version, said = "finder", 0.95

    def __init__(self, doubts=None, radii=None) -> None:
        self.doubts, self.radii = doubts or {10: 0.1}, radii or {}
        self.asked: list[int] = []

    choice = staticmethod(nearest_and_first)

    def segment(self, frames, targets, references):
        for target in targets:
            self.asked.append(target)
            if (human := references.corrected(target)) is not None:
                yield verbatim(target, human.mask)
                continue
            given = [each for each in references.references_for(target) if each.load is not None]
            if given:
                yield Segmentation(target, np.float32(given[0].mask) * 0.8, 0.2)
                continue
            rows, columns = np.ogrid[: frames.size[0], : frames.size[1]]
            near = (rows - 37) ** 2 + (columns - 60) ** 2 < self.radii.get(target, 24) ** 2
            doubt = self.doubts.get(target, 0.3)
            yield Segmentation(target, np.float32(near) * self.said, doubt)


class Carrier(Finder):
    """Carries a mask, less certain of it than the finder."""

    choice = staticmethod(nearest_and_first)

    def segment(self, frames, targets, references):
        for each in super().segment(frames, targets, references):
            yield Segmentation(each.frame, each.probability * 0.9, 0.3)


def pair(finder=None) -> SeededSegmenter:
    return SeededSegmenter(finder or Finder(), gam(), "pair")


def alone(finder: Finder) -> SeededSegmenter:
    return SeededSegmenter(finder, finder, "alone")


def segmentations(engine, targets, references=None, frames=None) -> list[Segmentation]:
    return list(engine.segment(frames or MadeFrames(30), targets, references or ReferenceBook()))


def seeds_of(finder: Finder, target: int, frames=None) -> list[int]:
    (found,) = segmentations(alone(finder), [target], frames=frames)
    return [seed.frame for seed in found.seeds]


def test_without_a_correction_the_surest_mask_around_is_carried():
    frames, finder = MadeFrames(30), Finder({10: 0.1})
    found = probabilities(alone(finder), [5, 10, 20], ReferenceBook(), frames)
    (seed, own) = probabilities(Finder({10: 0.1}), [10, 5], ReferenceBook(), frames)
    mask = sharpened(frames[10], certain(seed)) >= 0.5
    # The surer counts the more: 0.3 beside 0.1.
    np.testing.assert_allclose(found[0], 0.25 * own + 0.75 * 0.8 * mask, atol=1e-6)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], seed)  # of which nobody is surer


def test_seeds_are_surer_than_the_frame_and_about_as_sure_as_each_other():
    assert seeds_of(Finder({5: 0.1, 20: 0.12}), 10) == [5, 20]
    assert seeds_of(Finder({5: 0.1, 20: 0.13}), 10) == [5]
    assert seeds_of(Finder({5: 0.1, 10: 0.12, 20: 0.15}), 10) == []
    assert seeds_of(Finder({5: 0.1, 10: 0.13, 20: 0.15}), 10) == [5]
    assert seeds_of(Finder({10: 0.1, 15: 0.05, 25: 0.08}), 12) == [15]


def test_a_seed_is_near_in_time_and_shows_somebody():
    frames = MadeFrames(90)
    assert seeds_of(Finder({60: 0.1}), 0, frames) == [60]
    assert seeds_of(Finder({65: 0.1}), 0, frames) == []
    # Of frame 25 it is surer still, but hardly anybody is in it.
    assert seeds_of(Finder({10: 0.1, 25: 0.02}, {25: 5}), 5) == [10]
    nobody = dict.fromkeys(range(0, 30, 5), 0)
    assert seeds_of(Finder({25: 0.02}, nobody), 5) == []


def test_the_finder_is_asked_once_for_each_frame_and_for_no_more_than_it_needs():
    frames, finder = MadeFrames(400), Finder()
    engine = alone(finder)
    list(engine.segment(frames, range(0, 400, 5), ReferenceBook()))
    assert sorted(set(finder.asked)) == list(range(0, 400, 5))
    # Frame 10 is the seed of others, which the finder is asked for again, now told by it.
    told = sum(bool(each.seeds) for each in segmentations(engine, range(0, 400, 5), frames=frames))
    assert told == 14
    fresh = Finder()
    list(alone(fresh).segment(frames, range(0, 400, 5), ReferenceBook()))
    assert len(fresh.asked) == 80 + told


def test_what_is_said_does_not_depend_on_what_is_asked_for():
    frames = MadeFrames(200)
    doubts = {frame: 0.1 + 0.2 * (frame * 7 % 11) / 11 for frame in range(0, 200, 5)}
    targets = [*range(0, 200, 5), 3, 77, 191]
    together = probabilities(alone(Finder(doubts)), targets, ReferenceBook(), frames)
    for target, found in zip(targets[::6], together[::6], strict=True):
        (one,) = probabilities(alone(Finder(doubts)), [target], ReferenceBook(), frames)
        np.testing.assert_array_equal(one, found)
    backwards = probabilities(alone(Finder(doubts)), targets[::-1], ReferenceBook(), frames)
    np.testing.assert_array_equal(backwards[::-1], together)


def test_another_engine_carries_the_seed_and_is_believed_where_it_meets_somebody():
    frames, references = MadeFrames(30), ReferenceBook()
    (found,) = segmentations(pair(Finder({10: 0.1})), [15], frames=frames)
    own, seed = segmentations(Finder({10: 0.1}), [15, 10], frames=frames)
    mask = sharpened(frames[10], certain(seed.probability)) >= 0.5
    (carried,) = segmentations(gam(), [15], book(f10=mask), frames)
    assert region_similarity(own.mask, carried.mask) >= LEAST_OVERLAP
    both = 0.25 * own.probability + 0.75 * carried.probability
    np.testing.assert_allclose(found.probability, both, atol=1e-6)

    class Elsewhere:
        model_version = "elsewhere"

        choice = staticmethod(nearest_and_first)

        def segment(self, frames, targets, references):
            for target in targets:
                corner = np.zeros(frames.size, np.float32)
                corner[:10, :10] = 1.0
                yield Segmentation(target, corner, 0.0)

    lost = SeededSegmenter(Finder({10: 0.1}), Elsewhere(), "lost")
    for given in (references, book(f10=disk(40))):
        (kept,) = segmentations(lost, [15], given, frames)
        (own,) = segmentations(Finder({10: 0.1}), [15], given, frames)
        np.testing.assert_array_equal(kept.probability, own.probability)
        assert not kept.seeds


def test_once_a_person_corrected_nothing_of_the_seed_is_left():
    frames, references = MadeFrames(30), book(f15=disk(40))
    targets = [5, 15, 20]
    carrying = Carrier()
    for engine, carrier in (
        (SeededSegmenter(Finder(), carrying, "both"), carrying),
        (alone(Finder()), Finder()),
    ):
        probabilities(engine, [5], ReferenceBook(), frames)
        found = segmentations(engine, targets, references, frames)
        own = probabilities(Finder(), [5, 20], references, frames)
        carried = probabilities(carrier, [5, 20], references, frames)
        masked = np.stack([found[0].probability, found[2].probability])
        np.testing.assert_allclose(masked, (own + carried) / 2, atol=1e-6)
        np.testing.assert_array_equal(found[1].probability, disk(40))
        assert not any(each.seeds for each in found)


def test_of_a_seed_only_what_is_certain_is_carried():
    class WithStatue(Finder):
        """Is sure of a disc in frame 10, and not so sure of a strip beside it."""

        choice = staticmethod(nearest_and_first)

        def segment(self, frames, targets, references):
            for each in super().segment(frames, targets, references):
                if each.frame == 10 and references.empty:
                    each.probability[:10, :40] = 0.8
                yield each

    frames = MadeFrames(30)
    (seed,) = segmentations(alone(WithStatue({10: 0.05})), [5], frames=frames)[0].seeds
    assert seed.frame == 10
    assert not seed.mask[:10, :40].any()
    assert seed.mask.any()
    stricter = certain(np.float32([0.0, 0.5, CERTAIN, 1.0]))
    assert stricter == pytest.approx([0, 0.1, 0.5, 1], abs=2e-3)


def test_who_is_certain_of_nobody_is_no_seed():
    vague = Finder({10: 0.2})
    assert seeds_of(vague, 5) == [10]
    vague.said = CERTAIN - 0.01
    assert seeds_of(vague, 5) == []


def test_a_clip_without_anybody_stays_empty():
    class Nobody(Finder):
        choice = staticmethod(nearest_and_first)

        def segment(self, frames, targets, references):
            for target in targets:
                yield Segmentation(target, np.zeros(frames.size, np.float32), 0.0)

    found = segmentations(pair(Nobody()), [0])
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
        ModelCard("gam", "gam-small", ["made"], "none", input_size=64),
        "0.0.1",
    )
    (folder / "foreign").mkdir()
    (folder / "foreign" / CARD_FILE).write_text("{")  # whatever else lies there
    parts = [folder / "pdnet", folder / "gam"]
    save_parts(
        folder / "pair", parts, engine="pdnet+gam", configuration="pair-small", version="1.0.0"
    )
    return folder


def test_weights_used_together_are_loaded_together(weights):
    segmenter, card = load_segmenter(str(weights / "pair"), device="cpu", alone=True)
    assert isinstance(segmenter, SeededSegmenter)
    assert segmenter.model_version == card.model_version
    assert card.model_version.startswith("pair-small-1.0.0+")
    assert card.parts == [read_card(weights / name).model_version for name in ("pdnet", "gam")]
    assert "made" in card.training_data
    assert segmenter.finder.input_size == segmenter.carrier.carrying.input_size == 64
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


@pytest.mark.training
def test_both_parts_are_trained_further_and_stay_together(weights, tmp_path):
    steps = []
    sources = made_sources(tmp_path / "data")
    budget = Budget(steps=4, size=64, batch_size=2, rate=1e-4, seed=1)
    card = train_further(
        sources,
        weights / "pair",
        tmp_path / "run" / "weights",
        budget,
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
    with pytest.raises(LabelerError, match=r"gam\+pdnet.*there are: .*gam, pdnet\+gam, pdnet"):
        load_segmenter(card.model_version, models=registry.folder)
