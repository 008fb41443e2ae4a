"""What is odd in the shape of one mask, and what is not, against plain and slow code."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from labeler.inspect.mask_shape import (
    PINHOLE_DEPTH,
    PINHOLE_SHARES,
    SPECK_OF_LARGEST,
    SPECK_REACH,
    SPECK_SHARE,
    border_share,
    gaps_at_border,
    pinholes,
    specks,
    strips_at_border,
)
from labeler.mask import Mask
from tests.labeler.made_portraits import SIZE, person

WIDTH, HEIGHT = SIZE
NOBODY = np.zeros((HEIGHT, WIDTH), bool)


def box(mask: Mask, x: int, y: int, width: int, height: int, value: bool = True) -> Mask:
    mask = mask.copy()
    mask[y : y + height, x : x + width] = value
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        NOBODY,
        ~NOBODY,
        person(180),
        person(180) | person(60),
        person(20),  # cut by the left border too
        box(person(180), 300, 30, 6, 6),  # the hand of somebody else
        box(NOBODY, 40, 60, 2, 3),  # somebody far away, alone
        box(person(180), 216, 200, 3, 2),  # a scrap beside the body
        box(box(person(180), 244, 160, 2, 2), 250, 160, 2, 2),  # an arm behind grass
        box(person(180), 154, 150, 2, 2, False),  # a pinhole near the outline
        box(person(180), 170, 150, 20, 40, False),  # something held before the chest
        box(NOBODY, 100, 100, 20, HEIGHT - 102),  # feet, near the border
    ],
)
def test_what_is_not_odd(mask: Mask) -> None:
    looks = (specks, pinholes, gaps_at_border, strips_at_border)
    assert {look.__name__ for look in looks if look(mask)} == set()


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """People as boxes, with scraps around them, holes in them, and cuts along the border."""
    height, width = draw(st.sampled_from([(300, 400), (400, 300), (350, 351)]))
    mask = np.zeros((height, width), bool)
    large = st.tuples(
        st.integers(0, 300), st.integers(0, 300), st.integers(1, 120), st.integers(1, 120)
    )
    small = st.tuples(
        st.integers(0, 399), st.integers(0, 399), st.integers(1, 4), st.integers(1, 4)
    )
    for value, spots in (
        (True, draw(st.lists(large, max_size=3))),
        (False, draw(st.lists(small, max_size=8))),
        (True, draw(st.lists(small, max_size=8))),
    ):
        for spot in spots:
            mask = box(mask, *spot, value)
    for side in draw(st.lists(st.sampled_from(range(4)), max_size=2)):
        np.rot90(mask, side)[: draw(st.integers(1, 5))] = draw(st.booleans())
    return mask


@given(masks())
@settings(deadline=None, max_examples=30)
def test_specks_against_chains_of_pixels(mask: Mask) -> None:
    pixels = np.argwhere(mask)
    if not len(pixels):
        assert specks(mask) == []
        return
    reach = math.ceil(SPECK_REACH * math.hypot(*mask.shape))
    pairs = cKDTree(pixels).query_pairs(reach, p=math.inf, output_type="ndarray")
    near = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(pixels), len(pixels)))
    _, chain = connected_components(near, directed=False)
    areas = np.bincount(chain)
    limit = min(SPECK_SHARE * mask.size, SPECK_OF_LARGEST * areas.max())
    expected = sorted((int(area) for area in areas if area < limit), reverse=True)
    assert [spot.area for spot in specks(mask)] == expected


@given(masks())
@settings(deadline=None, max_examples=30)
def test_pinholes_against_their_definition(mask: Mask) -> None:
    labels, count = ndimage.label(np.pad(~mask, 1, constant_values=True))
    areas = np.bincount(labels[1:-1, 1:-1].ravel(), minlength=count + 1)
    outside = labels[0, 0]
    low, high = (share * mask.size for share in PINHOLE_SHARES)
    open_to_air = np.array([0, *(n == outside or areas[n] >= high for n in range(1, count + 1))])
    solid = open_to_air[labels[1:-1, 1:-1]] == 0
    depth = ndimage.distance_transform_edt(solid) if not solid.all() else solid * math.inf
    expected = []
    for number in range(1, count + 1):
        hole = labels[1:-1, 1:-1] == number
        if number == outside or not low <= areas[number] < high:
            continue
        if depth[hole].min() >= PINHOLE_DEPTH * math.sqrt(mask.sum()):
            expected.append(int(areas[number]))
    assert [spot.area for spot in pinholes(mask)] == sorted(expected, reverse=True)


@given(masks())
@settings(deadline=None, max_examples=30)
def test_the_border_line_by_line(mask: Mask) -> None:
    short = min(mask.shape)
    reach, length = max(1, round(0.01 * short)), math.ceil(0.1 * short)
    gaps, strips = [], []
    for side, turned in (
        ("top", mask),
        ("bottom", mask[::-1]),
        ("left", mask.T),
        ("right", mask.T[::-1]),
    ):
        for found, odd in (
            (gaps, lambda line: not line[0] and line[1 : reach + 1].any()),
            (strips, lambda line: line[0] and not line[: reach + 1].all()),
        ):
            run = 0
            for place, line in enumerate([*turned.T, np.zeros(len(turned), bool)]):
                if odd(line):
                    run += 1
                    continue
                if run >= length:
                    found.append((side, place - run, run))
                run = 0
    assert [(r.side, r.start, r.length) for r in gaps_at_border(mask)] == gaps
    assert [(r.side, r.start, r.length) for r in strips_at_border(mask)] == strips
    ring = np.ones_like(mask)
    ring[1:-1, 1:-1] = False
    corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]].sum()  # each is on two sides
    expected = (mask[ring].sum() + corners) / (ring.sum() + 4)
    assert border_share(mask) == pytest.approx(expected)
