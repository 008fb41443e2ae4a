"""Colours sharpen what a network says: its outline, its gaps, and what references have shown."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeler.clip import Image
from labeler.mask import Mask
from labeler.metrics import region_similarity
from labeler.reference import ReferenceBook, nearest_and_first
from model.drivers.colours import (
    BINS,
    LARGEST,
    ColourSegmenter,
    bins_of,
    colours_of,
    sharpened,
)
from model.loading import load_segmenter
from model.segmenter import Segmentation, uncertainty_of, verbatim
from tests.model.made_clips import MadeFrames, reference
from tests.tiny import tiny_weights

RED, GREY, GREEN = (40, 40, 190), (120, 120, 120), (60, 160, 60)
HEIGHT, WIDTH = 120, 160


def ring(left: int = 50, scale: int = 1) -> Mask:
    """Somebody with a gap between arm and body."""
    mask = np.zeros((HEIGHT * scale, WIDTH * scale), bool)
    mask[30 * scale : 90 * scale, left * scale : (left + 60) * scale] = True
    mask[45 * scale : 75 * scale, (left + 15) * scale : (left + 40) * scale] = False
    return mask


def picture(mask: Mask, seed: int = 0, person=RED, around=GREY) -> Image:
    noise = np.random.default_rng(seed).normal(0, 6, (*mask.shape, 3))
    return (np.where(mask[..., None], person, around) + noise).clip(0, 255).astype(np.uint8)


def coarse(mask: Mask, cell: int = 10) -> np.ndarray:
    """What a network says: on cells, blurred, and the gap half filled."""
    filled = cv2.morphologyEx(
        mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((61, 61), np.uint8), borderValue=0
    )
    mixed = 0.7 * filled + 0.3 * mask
    size = (mask.shape[1] // cell, mask.shape[0] // cell)
    small = cv2.resize(mixed, size, interpolation=cv2.INTER_AREA)
    return (0.05 + 0.9 * cv2.resize(small, mask.shape[::-1])).astype(np.float32)


def test_outline_and_gaps_follow_the_colours():
    mask = ring()
    said = coarse(mask)
    assert region_similarity(said >= 0.5, mask) < 0.8
    assert region_similarity(sharpened(picture(mask), said) >= 0.5, mask) > 0.97


def test_a_large_picture_is_sharpened_in_small():
    mask = ring(scale=12)
    assert max(mask.shape) > 2 * LARGEST
    found = sharpened(picture(mask), coarse(mask, 120))
    assert found.shape == mask.shape
    assert region_similarity(found >= 0.5, mask) > 0.97


def test_what_a_reference_shows_beside_people_is_nobody():
    mask = ring()
    thing = np.zeros_like(mask)
    thing[40:80, 112:130] = True  # green, and as certain as whoever is there
    image = picture(mask)
    image[thing] = GREEN
    said = coarse(mask | thing)
    known = colours_of(bins_of(image), mask.astype(np.float32))
    assert (sharpened(image, said) >= 0.5)[thing].mean() > 0.9
    with_reference = sharpened(image, said, [known]) >= 0.5
    assert with_reference[thing].mean() < 0.1
    assert region_similarity(with_reference, mask) > 0.97


def test_nobody_stays_nobody_and_what_is_beyond_the_close_up_is_kept():
    mask = np.zeros((300, 400), bool)
    image = picture(mask)
    nobody = np.full(mask.shape, 0.2, np.float32)
    np.testing.assert_array_equal(sharpened(image, nobody), nobody)
    mask[20:80, 20:60] = True
    said = np.where(mask, 0.9, 0.3).astype(np.float32)
    found = sharpened(picture(mask), said)
    np.testing.assert_array_equal(found[:, 250:], said[:, 250:])
    np.testing.assert_array_equal(found[200:], said[200:])
    assert said[mask].min() == np.float32(0.9)  # what was given is not changed


@given(seed=st.integers(0, 10_000), level=st.floats(0, 1))
def test_whatever_comes_in_a_probability_comes_out(seed: int, level: float):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (40, 50, 3), np.uint8)
    said = np.clip(rng.random((40, 50)) * 2 * level, 0, 1).astype(np.float32)
    known = colours_of(bins_of(image), rng.random((40, 50)))
    for references in ([], [known], [known, known]):
        found = sharpened(image, said, references)
        assert found.dtype == np.float32
        assert found.shape == said.shape
        assert np.isfinite(found).all()
        assert 0 <= found.min() <= found.max() <= 1


def test_every_colour_has_a_number_and_counts_once():
    image = np.array([[(0, 0, 0), (255, 255, 255), RED], [GREEN, (255, 0, 0), GREY]], np.uint8)
    bins = bins_of(image)
    assert 0 <= bins.min() <= bins.max() < BINS**3
    assert len(set(bins.ravel().tolist())) == 6
    counted = colours_of(bins, np.array([[1, 1, 0], [0, 0, 0.5]]))
    assert counted.people.sum() == pytest.approx(2.5 / 6)
    assert counted.people.sum() + counted.around.sum() == pytest.approx(1)
    ratios = counted.ratios.ravel()[bins]
    assert ratios[0, 0] > 0 > ratios[0, 2]
    assert ratios[1, 2] == pytest.approx(np.log(3.5 / 2.5), abs=0.1)


class Coarse:
    """Says what a network says of a clip in which somebody moves."""

    model_version = "coarse-1.0.0+01234567"

    def __init__(self, truths: list[Mask]) -> None:
        self.truths = truths

    choice = staticmethod(nearest_and_first)

    def segment(self, frames, targets, references):
        for target in targets:
            if (human := references.corrected(target)) is not None:
                yield verbatim(target, human.mask)
            else:
                yield Segmentation(target, coarse(self.truths[target]), 0.4)


@pytest.fixture
def clip() -> tuple[MadeFrames, list[Mask]]:
    truths = [ring(30 + 5 * index) for index in range(8)]
    return MadeFrames([picture(mask, seed) for seed, mask in enumerate(truths)]), truths


def test_an_engine_is_sharpened_but_not_a_persons_mask(clip):
    frames, truths = clip
    engine = ColourSegmenter(Coarse(truths))
    assert engine.model_version == "coarse-1.0.0+01234567"
    odd = ring(3)
    found = list(engine.segment(frames, [4, 2, 7], ReferenceBook([reference(2, odd)])))
    assert [each.frame for each in found] == [4, 2, 7]
    np.testing.assert_array_equal(found[1].mask, odd)
    assert found[1].uncertainty == 0
    first, *_ = ColourSegmenter(Coarse(truths)).segment(frames, [4], ReferenceBook())
    assert region_similarity(first.mask, truths[4]) > 0.97
    alone = uncertainty_of(coarse(truths[4]))
    assert uncertainty_of(first.probability) < first.uncertainty
    assert first.uncertainty == pytest.approx(alone, abs=0.15)


def test_a_frame_depends_on_its_own_references_alone(clip):
    frames, truths = clip
    book = ReferenceBook([reference(1, truths[1]), reference(6, truths[6])])
    together = ColourSegmenter(Coarse(truths)).segment(frames, [3, 7, 4], book)
    for each in together:
        (alone,) = ColourSegmenter(Coarse(truths)).segment(frames, [each.frame], book)
        np.testing.assert_array_equal(each.probability, alone.probability)
    farther = ReferenceBook([*(book.references_for(3)[1:]), reference(7, ~truths[7])])
    (same,) = ColourSegmenter(Coarse(truths)).segment(frames, [3], farther)
    (before,) = ColourSegmenter(Coarse(truths)).segment(frames, [3], book)
    np.testing.assert_array_equal(same.probability, before.probability)


def test_networks_are_sharpened_unless_they_are_to_be_seen_alone(tmp_path):
    tiny_weights(tmp_path)
    assert isinstance(load_segmenter(str(tmp_path), device="cpu")[0], ColourSegmenter)
    alone, _ = load_segmenter(str(tmp_path), device="cpu", alone=True)
    assert not isinstance(alone, ColourSegmenter)
    assert not isinstance(load_segmenter("copy")[0], ColourSegmenter)
