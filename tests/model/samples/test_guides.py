"""Masks as somebody may have left them: wrong, but not beyond what was asked for."""

import cv2
import numpy as np
import pytest

from model.samples.guides import blot, shift_boundary
from tests.labeler.made_datasets import made_mask

MASK = made_mask(5, (128, 128))


def distance_to_boundary(mask):
    inside = mask.astype(np.uint8)
    precise = (cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return cv2.distanceTransform(inside, *precise) + cv2.distanceTransform(1 - inside, *precise)


@pytest.mark.parametrize("seed", range(20))
def test_a_shifted_boundary_is_off_by_no_more_than_asked(seed):
    moved = shift_boundary(np.random.default_rng(seed), MASK, 10)
    changed = moved != MASK
    assert distance_to_boundary(MASK)[changed].max(initial=0) <= 10


def test_boundaries_are_shifted_both_ways():
    moved = [shift_boundary(np.random.default_rng(seed), MASK, 10) for seed in range(30)]
    assert any(np.count_nonzero(m & ~MASK) > 50 for m in moved)
    assert any(np.count_nonzero(MASK & ~m) > 50 for m in moved)


@pytest.mark.parametrize("mask", [np.zeros((64, 64), bool), np.ones((64, 64), bool)])
def test_masks_without_a_boundary_stay(mask):
    assert (shift_boundary(np.random.default_rng(0), mask, 10) == mask).all()


def test_a_small_mask_does_not_vanish():
    dot = np.zeros((64, 64), bool)
    dot[30:32, 30:32] = True
    for seed in range(30):
        rng = np.random.default_rng(seed)
        assert shift_boundary(rng, dot, 10).any()
        assert blot(rng, dot).any()


def test_a_blot_adds_or_drops_one_piece():
    two = MASK.copy()
    two[4:10, 4:10] = True
    dropped = added = 0
    for seed in range(40):
        changed = blot(np.random.default_rng(seed), two)
        assert np.count_nonzero(changed != two) < 0.1 * two.size
        assert (changed & MASK).sum() > 0.5 * MASK.sum(), "the largest piece is not dropped"
        dropped += bool((two & ~changed).any())
        added += bool((changed & ~two).any())
    assert dropped > 5
    assert added > 5


def test_chance_comes_from_the_generator_alone():
    for change in (blot, lambda rng, mask: shift_boundary(rng, mask, 10)):
        one, other = (change(np.random.default_rng(3), MASK) for _ in range(2))
        assert (one == other).all()
