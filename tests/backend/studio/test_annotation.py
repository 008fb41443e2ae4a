import json
import time
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.studio.annotation import (
    FIRST_IS_RIGHT,
    LABEL,
    MAX_REGIONS,
    SECOND_IS_RIGHT,
    decision_of,
    from_result,
    lead_time,
    to_result,
)
from labeler.errors import LabelerError
from labeler.review.crosscheck import Preferred
from tests.backend.webhooks import VALUES, empty_bits, region
from tests.workspaces import SIZE, square

masks = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda size: st.one_of(
        arrays(bool, size), st.just(np.zeros(size, bool)), st.just(np.ones(size, bool))
    )
)


@given(mask=masks)
def test_a_mask_comes_back_from_json_as_it_was(mask):
    result = json.loads(json.dumps(to_result(mask, "r")))
    found = from_result(result, *mask.shape)
    assert np.array_equal(found.mask, mask)
    assert found.mask.dtype == bool
    assert found.ignored == 0


def test_a_result_has_one_region_where_somebody_is_and_none_where_nobody_is():
    (only,) = to_result(square(3), "walk-5-2")
    assert (only["id"], only["type"], only["image_rotation"]) == ("walk-5-2", "brushlabels", 0)
    assert (only["original_width"], only["original_height"]) == (SIZE[1], SIZE[0])
    assert only["value"]["brushlabels"] == [LABEL]
    assert to_result(np.zeros(SIZE, bool), "r") == []
    assert not from_result([], *SIZE).mask.any()


def test_regions_of_the_portrait_are_united_and_others_are_counted():
    result = [
        region(square(0)),
        region(square(30)),
        region(np.ones(SIZE, bool), value={"brushlabels": ["Dog"]}),
        region(np.ones(SIZE, bool), type="rectanglelabels"),
        {"type": "choices", "value": {"choices": ["blurred"]}},
        {"type": "brushlabels"},
        {"type": "brushlabels", "value": {"brushlabels": LABEL}},
        "a comment",
        None,
    ]
    found = from_result(result, *SIZE)
    assert np.array_equal(found.mask, square(0) | square(30))
    assert found.ignored == 7


def test_a_region_may_carry_further_labels():
    result = [region(square(0), value={"brushlabels": ["Dog", LABEL]})]
    assert np.array_equal(from_result(result, *SIZE).mask, square(0))


RLE = region(square(0))["value"]["rle"]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "not a list"),
        ("[]", "not a list"),
        ({"rle": RLE}, "not a list"),
        ([region(square(0), original_width=64)], r"64x96 but the frame is 128x96"),
        ([region(square(0), original_width=SIZE[0], original_height=SIZE[1])], "96x128"),
        ([region(square(0), original_width=None)], "Nonex96"),
        ([region(square(0)[1:])], "128x95"),
        ([region(square(0), image_rotation=90)], "rotated"),
        ([region(square(0), value={"format": "url"})], "not a brush stroke in RLE"),
        ([region(square(0), value={"rle": RLE[: len(RLE) // 2]})], "cut short"),
        ([region(square(0), value={"rle": []})], "unreadable"),
        ([region(square(0), value={"rle": None})], "unreadable"),
        ([region(square(0), value={"rle": "0000"})], "unreadable"),
        ([region(square(0), value={"rle": [*RLE[:-1], 256]})], "unreadable"),
        ([region(square(0), value={"rle": [*RLE, 1, 2, 3]})], "unreadable"),
        ([region(square(0), value={"rle": empty_bits(VALUES)})], "cut short"),
        ([region(square(0)), region(square(0), value={"rle": RLE[:9]})], "cut short"),
    ],
)
def test_what_is_no_mask_of_the_frame_is_refused(result, said):
    with pytest.raises(LabelerError, match=said):
        from_result(result, *SIZE)


def test_a_bomb_is_refused_at_once():
    began = time.monotonic()
    for values in (4, VALUES + 4, (1 << 32) - 1):  # 4 GB, or none
        with pytest.raises(LabelerError, match="values but a frame"):
            from_result([region(square(0), value={"rle": empty_bits(values)})], *SIZE)
    with pytest.raises(LabelerError, match="join them"):
        from_result([region(square(0))] * (MAX_REGIONS + 1), *SIZE)
    assert time.monotonic() - began < 1


def test_a_code_that_says_nothing_but_repeat_is_refused():
    """Each record repeats the longest run, so that few bytes speak of far more than the frame."""
    bits = f"{VALUES:032b}" + "00111" + "1111" * 4 + ("1" + "11" + "1" * 16 + "1" * 8) * 200
    code = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
    with pytest.raises(LabelerError, match="longer than the frame"):
        from_result([region(square(0), value={"rle": list(code)})], *SIZE)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=200)
@given(
    result=anything
    | st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.just("brushlabels") | anything,
                "original_width": st.just(SIZE[1]) | anything,
                "original_height": st.just(SIZE[0]) | anything,
                "image_rotation": st.just(0) | anything,
                "value": anything
                | st.fixed_dictionaries(
                    {"brushlabels": st.just([LABEL])},
                    optional={
                        "format": st.just("rle") | anything,
                        "rle": st.lists(st.integers(-1, 256)) | anything,
                    },
                ),
            },
        ),
        max_size=3,
    )
)
def test_whatever_comes_is_a_mask_or_refused(result):
    with suppress(LabelerError):
        assert from_result(result, *SIZE).mask.shape == SIZE


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (12.5, 12.5),
        (0, 0.0),
        (None, None),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ("12", None),
        (True, None),
        ([], None),
    ],
)
def test_a_lead_time_is_believed_if_it_can_be_one(told, seconds):
    assert lead_time({"lead_time": told}) == seconds


def test_an_annotation_without_lead_time_has_none():
    assert lead_time({}) is None


def said(*choices, reason=None):
    found = [{"from_name": "decision", "type": "choices", "value": {"choices": list(choices)}}]
    if reason is not None:
        found.append({"from_name": "reason", "type": "textarea", "value": {"text": [reason]}})
    return found


def test_a_third_person_chooses_one_of_two_masks():
    assert decision_of(said(FIRST_IS_RIGHT)) == (Preferred.FIRST, "")
    assert decision_of(said(SECOND_IS_RIGHT, reason=" the hand ")) == (Preferred.SECOND, "the hand")
    painted = to_result(square(1), "r", "First mask")
    assert decision_of([*painted, *said(SECOND_IS_RIGHT)])[0] is Preferred.SECOND


@pytest.mark.parametrize(
    "result", [[], None, "x", said("Reject"), said(FIRST_IS_RIGHT, SECOND_IS_RIGHT), [[7]]]
)
def test_no_choice_or_both_is_no_decision(result):
    with pytest.raises(LabelerError, match="does not say which mask is right"):
        decision_of(result)
