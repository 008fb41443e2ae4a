import numpy as np
import pytest
import torch

from labeler.reference import ReferenceBook
from model.drivers.carrier import Carrier
from model.drivers.windows import Looked, WindowCarrying
from model.engines.gam.network import GAM
from model.window import Window
from tests.model.engines.gam.test_gam import TINY
from tests.model.engines.pdnet.test_segmenter import MadeFrames, book, disk, probabilities


def gam(input_size: int = 64) -> Carrier:
    torch.manual_seed(2)
    return Carrier(WindowCarrying(GAM(TINY), torch.device("cpu"), input_size=input_size), "tiny")


def test_nobody_is_found_where_nobody_was_masked():
    (found,) = gam().segment(MadeFrames(), [5], ReferenceBook())
    assert not found.mask.any()
    assert found.uncertainty == 1  # not that nobody is there: nothing is known


def test_what_is_asked_first_changes_nothing():
    references = book(f5=disk(30), f15=disk(40))
    targets = [0, 7, 10, 12, 13, 19]
    together = probabilities(gam(), targets, references)
    assert together.any()
    backward = probabilities(gam(), targets[::-1], references)[::-1]
    np.testing.assert_array_equal(together, backward)
    alone = [probabilities(gam(), [target], references)[0] for target in targets]
    np.testing.assert_array_equal(together, alone)
    engine = gam()
    for target in (19, 0, 12):
        probabilities(engine, [target], references)
    np.testing.assert_array_equal(together, probabilities(engine, targets, references))


def test_a_second_correction_of_a_frame_is_as_if_there_had_been_no_first():
    engine, targets = gam(), [2, 10, 12]
    first = probabilities(engine, targets, book(f5=disk(30), f15=disk(40)))
    second = probabilities(engine, targets, book(f5=disk(45), f15=disk(40)))
    assert not np.array_equal(first, second)
    scratch = probabilities(gam(), targets, book(f5=disk(45), f15=disk(40)))
    np.testing.assert_array_equal(second, scratch)
    again = probabilities(engine, targets, book(f5=disk(30), f15=disk(40)))
    np.testing.assert_array_equal(first, again)


def test_a_target_depends_on_its_own_references_alone():
    """Or a correction would change frames that nobody asks for again."""
    few = probabilities(gam(), [7], book(f0=disk(35), f5=disk(30), f10=disk(40)))
    more = book(f0=disk(35), f5=disk(30), f10=disk(40), f15=disk(20))
    np.testing.assert_array_equal(few, probabilities(gam(), [7], more))


def test_between_two_corrections_both_are_asked_the_nearer_one_more():
    before, after = book(f0=disk(30)), book(f20=disk(45))
    both = book(f0=disk(30), f20=disk(45))
    engine = gam()
    frames = MadeFrames(21)
    for target in (5, 10, 15):
        walks = [
            engine.walk(frames, references.corrected(frame), both.references_for(target))
            for frame, references in ((0, before), (20, after))
        ]
        with torch.inference_mode():
            one, other = (walk.to(target).probability for walk in walks)
        share = target / 20
        (found,) = probabilities(engine, [target], both, frames)
        np.testing.assert_allclose(found, (1 - share) * one + share * other, atol=1e-5)


@pytest.mark.parametrize("count", [50, 2000])
def test_memory_and_work_do_not_grow_with_the_clip(count):
    engine, looks = gam(), []
    once = engine.carrying._look
    engine.carrying._look = lambda *arguments: (looks.append(1), once(*arguments))[1]
    last = 5 * (count // 5) - 5
    frames = MadeFrames(count, (40, 60))
    start = book(**{f"f{last - 45}": disk(20, (40, 60))})
    probabilities(engine, [last], start, frames)
    (walk,) = engine.walks._things.values()
    steps = [place.state.memory for place in walk.places[1]]
    sizes = {memory.total.numel() for memory in steps}
    assert sizes == {TINY.keys * TINY.values}
    assert len(looks) <= 2 * (len(steps) - 1) == 18
    assert engine.carrying.encoder.kept_bytes <= 1 << 28
    assert [step.weight for step in steps] == [4 + n for n in range(10)]


def test_a_walk_goes_over_its_own_frames():
    engine = gam()
    probabilities(engine, [8, 13], book(f7=disk(30)))
    (walk,) = engine.walks._things.values()
    assert [place.frame for place in walk.places[1]] == [7, 10]
    probabilities(engine, [1], book(f7=disk(30)))
    assert [place.frame for place in walk.places[-1]] == [7, 5]


def test_walks_that_nobody_asks_for_are_forgotten():
    engine = gam()
    for row in range(20, 50):
        probabilities(engine, [6], book(f5=disk(row)))
    assert len(engine.walks) <= 16


def test_what_is_known_is_the_same_through_any_window():
    rng = np.random.default_rng(0)
    logits = np.float32(np.kron(rng.normal(size=(4, 4)), np.ones((4, 4))))
    looked = Looked(logits, Window(10, 20, 64, 32), (80, 120))
    same = looked.through(Window(10, 20, 64, 32), 16)
    np.testing.assert_allclose(same, 1 / (1 + np.exp(-logits)), atol=1e-5)
    whole = looked.through(Window(0, 0, 120, 80), 40)  # cells of 3 x 2 pixels
    cells = looked.probability.reshape(40, 2, 40, 3).mean(axis=(1, 3))
    assert np.abs(whole - cells).mean() < 0.03
    assert not whole[:9].any()
    assert not whole[28:].any()
