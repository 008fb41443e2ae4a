"""The poorest video: what it does to pictures, and that other recipes know nothing of it."""

from dataclasses import replace

import numpy as np

from model.samples.hardship import battered, hardship, in_the_dark, without_colour
from model.samples.sample_recipe import QUICK

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def test_grey_has_no_colour_and_keeps_its_light():
    grey = without_colour(IMAGE)
    assert grey.shape == IMAGE.shape
    assert (grey == grey[..., :1]).all()
    assert abs(grey.mean() - (IMAGE @ [0.114, 0.587, 0.299]).mean()) < 1


def test_the_dark_is_darker_by_what_is_left_of_the_light():
    flat = np.full((64, 96, 3), 200, np.uint8)
    for light in (0.12, 0.3, 0.6):
        dark = in_the_dark(np.random.default_rng(0), flat, light, 1.0)
        assert abs(dark.mean() - 200 * light) < 2
    deeper = in_the_dark(np.random.default_rng(0), flat, 0.6, 1.6)
    assert deeper.mean() < 200 * 0.6


def test_each_way_to_spoil_a_picture_comes_up_and_the_picture_stays():
    smooth = np.tile(np.linspace(0, 250, 96, dtype=np.uint8)[None, :, None], (64, 1, 3))
    before = smooth.copy()
    off = {
        round(float(np.abs(battered(np.random.default_rng(n), smooth).astype(int) - smooth).mean()))
        for n in range(30)
    }
    assert min(off) <= 3 < 8 < max(off)
    assert (smooth == before).all()


def test_a_sample_is_hard_as_a_whole():
    recipe = replace(QUICK, grey=0.5, dark=0.0, rough=0.0)
    grey = []
    for seed in range(40):
        on = hardship(np.random.default_rng(seed), recipe)
        views = [on(IMAGE) for _ in range(3)]
        greys = [(view == view[..., :1]).all() for view in views]
        assert all(greys) or not any(greys)
        grey.append(greys[0])
    assert 10 < sum(grey) < 30


def test_without_shares_nothing_is_drawn_and_nothing_changes():
    rng = np.random.default_rng(0)
    assert hardship(rng, QUICK)(IMAGE) is IMAGE
    assert rng.integers(1 << 30) == np.random.default_rng(0).integers(1 << 30)
