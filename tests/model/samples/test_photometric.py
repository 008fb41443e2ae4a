"""Light and cameras: colours change, pixels stay where they are."""

import numpy as np

from model.samples.photometric import Light, degrade

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def test_no_light_changes_nothing():
    assert (Light(np.zeros(7)).on(IMAGE) == IMAGE).all()


def test_light_is_bounded_and_differs():
    changed = [Light.drawn(np.random.default_rng(n), 1.0).on(IMAGE) for n in range(30)]
    off = [np.abs(c.astype(int) - IMAGE).mean() for c in changed]
    assert min(off) < 12 < max(off) < 110
    assert all(c.std() > 20 for c in changed), "nothing is blacked out"


def test_lights_add_up():
    one, other = (Light.drawn(np.random.default_rng(n), 1.0) for n in (1, 2))
    assert np.allclose((one + other).numbers, one.numbers + other.numbers)


def test_degrading_leaves_the_image_given_alone():
    before = IMAGE.copy()
    changed = 0
    for seed in range(40):
        poor = degrade(np.random.default_rng(seed), IMAGE, 1.0)
        assert poor.shape == IMAGE.shape
        assert poor.dtype == np.uint8
        changed += bool((poor != IMAGE).any())
    assert 10 < changed < 40
    assert (before == IMAGE).all()
    assert degrade(np.random.default_rng(0), IMAGE, 0.0) is IMAGE
