"""COCO's run lengths, against pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeler.layouts.coco.regions import RegionError, decode_runs, encode, module, region, union


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32), st.floats(0, 1))
def test_a_mask_comes_back_from_its_run_lengths(height, width, seed, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    made = encode(mask)
    found = union([region(made["segmentation"], mask.shape)], mask.shape)
    np.testing.assert_array_equal(found, mask)
    assert made["area"] == mask.sum()
    theirs = module("mask").encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    assert made["segmentation"]["counts"].encode() == theirs
    runs = decode_runs(theirs).tolist()
    uncompressed = {"size": [height, width], "counts": runs}
    np.testing.assert_array_equal(union([region(uncompressed, mask.shape)], mask.shape), mask)


def test_regions_are_united():
    size = (20, 30)
    left, right = np.zeros(size, bool), np.zeros(size, bool)
    left[2:9, 3:12], right[5:15, 10:20] = True, True
    polygon = [[10, 5, 20, 5, 20, 15, 10, 15]]
    found = union([region(encode(left)["segmentation"], size), region(polygon, size)], size)
    np.testing.assert_array_equal(found, left | right)
    assert not union([], size).any()


@pytest.mark.parametrize(
    "wrong",
    [{"size": [20, 30], "counts": [5, 5]}, {"size": [30, 20], "counts": [600]}],
)
def test_run_lengths_of_another_picture_are_refused(wrong):
    with pytest.raises(RegionError, match="its run lengths"):
        union([region(wrong, (20, 30))], (20, 30))
