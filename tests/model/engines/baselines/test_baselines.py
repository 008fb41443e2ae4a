"""What the engines without weights do."""

import numpy as np
import pytest

from labeler.clip import Image
from labeler.mask import Mask
from labeler.metrics import region_similarity
from labeler.reference import ReferenceBook
from model.engine import baselines
from model.engines.baselines.baselines import (
    FlowWarp,
    NearestCopy,
    NothingPropagated,
    SignedDistance,
)
from model.segmenter import Segmentation, Segmenter
from tests.model.made_clips import SIZE, MadeFrames, Scripted, noise, reference, square


def disk(column: float, radius: float) -> Mask:
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return (rows - 48) ** 2 + (columns - column) ** 2 <= radius**2


def still(count: int = 21) -> MadeFrames:
    return MadeFrames([noise(0)] * count)


def moving(count: int = 21, speed: int = 3) -> MadeFrames:
    """A textured square that moves over a plain wall, `speed` pixels a frame."""
    images = []
    for index in range(count):
        image = np.full((*SIZE, 3), 40, np.uint8)
        image[square(10 + speed * index)] = noise(2)[square(10)]
        images.append(image)
    return MadeFrames(images)


def one(engine: Segmenter, frames: MadeFrames, target: int, book: ReferenceBook) -> Segmentation:
    (segmentation,) = engine.segment(frames, [target], book)
    return segmentation


@pytest.mark.parametrize("name", baselines())
def test_a_corrected_frame_comes_back_to_the_pixel_and_the_others_in_the_order_asked(name):
    book = ReferenceBook([reference(0, square(5)), reference(10, square(60))])
    targets = [15, 10, 4, 6, 0, 20]
    found = list(baselines()[name].segmenter().segment(still(), targets, book))
    assert [each.frame for each in found] == targets
    assert np.array_equal(found[1].mask, square(60))
    assert np.array_equal(found[4].mask, square(5))
    assert found[1].uncertainty == found[4].uncertainty == 0
    for each in found:
        assert each.probability.dtype == np.float32
        assert each.probability.shape == SIZE
        assert 0 <= each.probability.min() <= each.probability.max() <= 1
        assert 0 <= each.uncertainty <= 1


@pytest.mark.parametrize("name", baselines())
def test_without_a_correction_every_frame_is_empty_and_wholly_uncertain(name):
    for each in baselines()[name].segmenter().segment(still(), [0, 5], ReferenceBook()):
        assert not each.mask.any()
        assert each.uncertainty == 1


@pytest.mark.parametrize("name", ["copy", "distance", "flow"])
def test_a_frame_alone_is_masked_as_it_is_among_others(name):
    book = ReferenceBook([reference(5, square(25)), reference(15, square(55))])
    frames = moving()
    together = baselines()[name].segmenter().segment(frames, range(0, 21, 5), book)
    for each in together:
        alone = one(baselines()[name].segmenter(), frames, each.frame, book)
        assert np.array_equal(alone.probability, each.probability)
        assert alone.uncertainty == each.uncertainty


@pytest.mark.parametrize("name", ["copy", "distance", "flow"])
def test_uncertainty_is_the_distance_to_the_nearest_correction(name):
    book = ReferenceBook([reference(5, square(25)), reference(15, square(55))])
    found = baselines()[name].segmenter().segment(still(20), [0, 5, 10, 14, 19], book)
    assert [each.uncertainty for each in found] == [0.25, 0, 0.25, 0.05, 0.2]


def test_nothing_propagated_keeps_the_first_prediction_of_an_engine():
    engine = Scripted(lambda frame: square(30), lambda frame, near: 0 if near else 7)
    book = ReferenceBook([reference(0, square(5))])
    wrapped = NothingPropagated(engine)
    found = list(wrapped.segment(still(), [5, 0, 10], book))
    assert wrapped.model_version == "nothing-scripted-1.0.0+00000000"
    assert [each.frame for each in found] == [5, 0, 10]
    assert np.array_equal(found[0].mask, square(37))
    assert np.array_equal(found[1].mask, square(5))
    assert np.array_equal(found[2].mask, square(37))


@pytest.mark.parametrize("shift", [20, 60])
def test_between_two_shifted_disks_is_the_disk_between_them(shift):
    book = ReferenceBook([reference(0, disk(30, 15)), reference(20, disk(30 + shift, 15))])
    for target, share in ((10, 0.5), (5, 0.25), (15, 0.75)):
        found = one(SignedDistance(), still(), target, book).mask
        assert region_similarity(found, disk(30 + share * shift, 15)) > 0.97


def test_between_a_small_and_a_large_disk_is_one_of_the_size_between():
    book = ReferenceBook([reference(0, disk(60, 10)), reference(20, disk(60, 30))])
    for target, radius in ((5, 15), (10, 20), (15, 25)):
        found = one(SignedDistance(), still(), target, book).mask
        assert region_similarity(found, disk(60, radius)) > 0.97


@pytest.mark.parametrize("flat", [np.zeros(SIZE, bool), np.ones(SIZE, bool)])
def test_a_mask_without_an_outline_is_not_blended(flat):
    book = ReferenceBook([reference(0, square(40)), reference(20, flat)])
    found = SignedDistance().segment(still(), [5, 10, 15], book)
    near, middle, far = (each.mask for each in found)
    assert np.array_equal(near, square(40))
    assert np.array_equal(middle, square(40))
    assert np.array_equal(far, flat)


def test_with_corrections_on_one_side_the_nearest_mask_is_copied():
    book = ReferenceBook([reference(10, square(10)), reference(15, square(50))])
    found = {e.frame: e.mask for e in SignedDistance().segment(still(), [0, 5, 20], book)}
    assert np.array_equal(found[0], square(10))
    assert np.array_equal(found[5], square(10))
    assert np.array_equal(found[20], square(50))


def test_flow_follows_a_moving_square_where_a_copy_stays_behind():
    frames = moving()
    book = ReferenceBook([reference(0, square(10)), reference(20, square(70))])
    for target in (5, 9, 11, 15):
        truth = square(10 + 3 * target)
        flowed = one(FlowWarp(), frames, target, book).mask
        copied = one(NearestCopy(), frames, target, book).mask
        assert region_similarity(flowed, truth) > 0.95
        assert region_similarity(copied, truth) < 0.5


def test_flow_is_kept_and_not_computed_again():
    frames = moving()
    engine = FlowWarp()
    first = one(engine, frames, 10, ReferenceBook([reference(0, square(10))]))
    assert set(frames.read) == set(range(11))
    frames.read.clear()
    one(engine, frames, 8, ReferenceBook([reference(2, square(16))]))
    assert frames.read == []
    forgetful = FlowWarp(cache_bytes=0)
    again = one(forgetful, frames, 10, ReferenceBook([reference(0, square(10))]))
    assert np.array_equal(first.probability, again.probability)


def test_flow_of_another_clip_is_not_taken_for_this_ones():
    engine, other = FlowWarp(), MadeFrames([noise(1)] * 21)
    other.key = "other"
    book = ReferenceBook([reference(0, square(10))])
    one(engine, moving(), 10, book)
    assert np.array_equal(one(engine, other, 10, book).mask, square(10))


def test_flow_leaves_the_mask_where_it_is_in_pictures_too_small_for_it():
    tiny: list[Image] = [noise(i, (8, 90)) for i in range(6)]
    mask = np.zeros((8, 90), bool)
    mask[2:6, 30:50] = True
    found = one(FlowWarp(), MadeFrames(tiny), 5, ReferenceBook([reference(0, mask)]))
    assert np.array_equal(found.mask, mask)
