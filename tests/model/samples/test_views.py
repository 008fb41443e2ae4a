"""Views of pictures: what is seen together stays together."""

import cv2
import numpy as np
import pytest

from model.samples.views import (
    MASKED,
    Window,
    draw_window,
    flipped,
    grid_of,
    kept_inside,
    render,
    with_mask,
    wobble,
)
from tests.model.made_sources import squares

WHOLE = Window(0, 0, 160, 120)


def test_the_whole_picture_squashed_is_what_inference_sees():
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    squashed = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(render(image, grid_of(WHOLE), (64, 64)).astype(int) - squashed).max() <= 1


def test_a_flip_sees_the_mirrored_picture():
    image = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
    grid = grid_of(Window(30, 20, 90, 70))
    mirrored = render(image, flipped(grid), (96, 96))
    assert np.abs(mirrored[:, ::-1].astype(int) - render(image, grid, (96, 96))).max() <= 1


@pytest.mark.parametrize("seed", range(10))
def test_picture_and_mask_move_together(seed):
    rng = np.random.default_rng(seed)
    image, people = squares((160, 120), {1: (50, 30, 110, 90)})
    window = draw_window(rng, (160, 120), None, 0.8, around=(80, 60))
    view = render(with_mask(image, people > 0), wobble(rng, grid_of(window), 1.0), (96, 96))
    red = view[..., 2].astype(int) > view[..., 0] + 127  # half of what red has over grey
    mask = view[..., 3] >= MASKED
    assert mask.any()
    assert np.count_nonzero(red != mask) <= 0.02 * mask.size
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert red[inner].all()


@pytest.mark.parametrize("seed", range(20))
def test_a_window_is_in_the_picture_and_holds_the_point(seed):
    rng = np.random.default_rng(seed)
    aspect = float(np.exp(rng.uniform(-0.6, 0.6)))
    window = draw_window(rng, (160, 120), aspect, rng.uniform(0.2, 1.3), around=(150, 7))
    right, bottom = window.left + window.width, window.top + window.height
    assert 0 <= window.left <= 150 <= right <= 160 + 1e-9
    assert 0 <= window.top <= 7 <= bottom <= 120 + 1e-9
    assert window.width / window.height == pytest.approx(aspect)


@pytest.mark.parametrize("seed", range(20))
def test_a_view_that_is_kept_inside_sees_no_border(seed):
    rng = np.random.default_rng(seed)
    grid = kept_inside(wobble(rng, grid_of(WHOLE), 1.0), (160, 120))
    assert grid.min() >= -1e-3
    assert (grid.max(axis=(0, 1)) <= np.array([160, 120]) + 1e-3).all()
    black = cv2.BORDER_CONSTANT
    view = render(np.full((120, 160), 255, np.uint8), grid, (64, 64), black)
    assert (view[2:-2, 2:-2] == 255).all()


def test_no_wobble_changes_nothing():
    grid = grid_of(Window(3, 5, 70, 40))
    assert np.allclose(wobble(np.random.default_rng(0), grid, 0.0), grid, atol=1e-4)
    assert np.allclose(kept_inside(grid, (160, 120)), grid)
