"""The paired bootstrap by hand and against scipy's."""

import numpy as np
import pytest
from scipy import stats

from model.measure.bootstrap import paired_bootstrap


def test_bootstrap_of_a_steady_difference_is_a_point():
    assert paired_bootstrap([0.5, 0.7, 0.9], [0.25, 0.45, 0.65]) == pytest.approx((0.25,) * 3)
    assert paired_bootstrap([1.0], [0.0]) == (1, 1, 1)
    assert paired_bootstrap([1.0], [0.0]).clear
    assert not paired_bootstrap([0.5, 0.2], [0.5, 0.2]).clear


def test_bootstrap_pairs_the_clips_and_is_the_same_every_time():
    a, b = np.random.default_rng(1).random((2, 40))
    found = paired_bootstrap(a, a - 0.1 * b)
    assert found == paired_bootstrap(a, a - 0.1 * b)
    assert found != paired_bootstrap(a, a - 0.1 * b, seed=1)
    assert found.difference == pytest.approx(0.1 * b.mean())
    reference = stats.bootstrap((0.1 * b,), np.mean, method="percentile", rng=0)
    assert found[1:] == pytest.approx(tuple(reference.confidence_interval), abs=2e-3)
    narrow = paired_bootstrap(a, a - 0.1 * b, confidence=0.5)
    assert found.low < narrow.low < narrow.difference < narrow.high < found.high


def test_bootstrap_refuses_what_is_no_pair():
    for a, b in (([], []), ([1.0], [1.0, 2.0])):
        with pytest.raises(ValueError, match="no pairs"):
            paired_bootstrap(a, b)
