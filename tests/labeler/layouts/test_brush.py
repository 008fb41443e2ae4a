"""Brush masks against label-studio-sdk's own codec, and against whatever else may arrive."""

import random
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from label_studio_sdk.converter.brush import decode_rle, encode_rle, mask2rle
from numpy.typing import NDArray

from labeler.errors import LabelerError
from labeler.layouts import brush
from labeler.layouts.brush import decode_brush, encode_brush
from labeler.mask import Mask

UNHURRIED = settings(deadline=None)  # a busy machine is no failure
THOROUGH = settings(deadline=None, max_examples=200)

SHAPES = st.one_of(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.just(1), st.integers(1, 300)),
    st.tuples(st.integers(1, 300), st.just(1)),
)
SIZES = (3, 4, 8, 16)


def sdk_encoded(mask: Mask) -> list[int]:
    return mask2rle(np.where(mask, 255, 0).astype(np.uint8))


def alpha(values: list[int] | NDArray[np.uint8], height: int, width: int) -> Mask:
    return np.asarray(values).reshape(height, width, 4)[..., 3] > 127


def person(height: int, width: int, noise: float = 0.0) -> Mask:
    """A head on a body, perhaps with a rim of noise."""
    y, x = np.mgrid[:height, :width] / height
    middle = width / height / 2
    head = 0.13 - np.hypot(x - middle, 0.8 * (y - 0.27))
    body = np.minimum(0.25 + 0.03 * np.sin(40 * y) - np.abs(x - middle), y - 0.4)
    inside = np.maximum(head, body)
    return inside + noise * np.random.default_rng(0).uniform(-1, 1, inside.shape) > 0


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """A mask of one kind: empty, full, one pixel, noise, boxes, or a smooth or noisy person."""
    height, width = draw(SHAPES)
    kind = draw(st.sampled_from(["empty", "full", "pixel", "noise", "boxes", "person", "noisy"]))
    if kind == "noise":
        return draw(arrays(np.bool_, (height, width)))
    if kind in {"person", "noisy"}:
        return person(height, width, draw(st.floats(0, 0.1)) if kind == "noisy" else 0.0)
    mask = np.full((height, width), kind == "full")
    for _ in range({"pixel": 1, "boxes": 3}.get(kind, 0)):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[y : y + (kind == "pixel" or 7), x : x + (kind == "pixel" or 9)] ^= True
    return mask


def record(values: list[int], listed: bool, number: int, word: int, sizes: tuple[int, ...]) -> str:
    """One record as a string of bits: values that are listed, or all alike."""
    length = f"{number:02b}{len(values) - 1:0{sizes[number]}b}"
    written = values if listed else values[:1]
    return "01"[not listed] + length + "".join(f"{value:0{word}b}" for value in written)


def packed(values: int, records: str, word: int = 8, sizes: tuple[int, ...] = SIZES) -> bytes:
    """A whole code, filled up with zeros."""
    head = f"{values:032b}{word - 1:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    bits = head + records
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8))


@st.composite
def codes(draw: st.DrawFn) -> tuple[bytes, list[int], int, int]:
    """A code of any records and sizes, with the values that it holds, its height and its width."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    word = draw(st.one_of(st.just(8), st.integers(1, 32)))
    sizes = draw(st.one_of(st.just(SIZES), st.tuples(*[st.integers(1, 16)] * 4)))
    chance = random.Random(draw(st.integers(0, 2**32)))  # draws of hypothesis are slow
    share = draw(st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0]))
    values: list[int] = []
    records = ""
    while (left := 4 * height * width - len(values)) > 0:
        number, listed = chance.randrange(4), chance.random() < share
        count = chance.randint(1, min(left, 1 << sizes[number], 1 << chance.randrange(12)))
        some = chance.choices([0, 127, 128, 255, chance.getrandbits(32)], k=count)
        some = [value % (1 << word) for value in (some if listed else some[:1] * count)]
        records += record(some, listed, number, word, sizes)
        values += some
    padding = bytes(draw(st.integers(0, 20)))
    return packed(len(values), records, word, sizes) + padding, values, height, width


@THOROUGH
@given(masks())
@example(np.ones((1, 1), bool))
@example(np.zeros((1, 1), bool))
@example(np.eye(64, dtype=bool))
def test_encodes_to_the_same_bytes_as_the_sdk(mask: Mask) -> None:
    rle = encode_brush(mask)
    assert rle == sdk_encoded(mask)
    assert {type(value) for value in rle} == {int}
    np.testing.assert_array_equal(decode_brush(rle, *mask.shape), mask)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    "run", [1, 2, 3, 4, 5, 63, 64, 65, 16383, 16384, 16385, 16448, 32768, 32769, 50000]
)
def test_runs_of_every_length_that_is_a_limit(run: int, first: bool) -> None:
    for behind in (0, 1, 64, 65, 20000):
        mask = np.full((1, run + behind), first)
        mask[0, run:] = not first
        rle = encode_brush(mask)
        assert rle == sdk_encoded(mask)
        np.testing.assert_array_equal(decode_brush(rle, *mask.shape), mask)


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_whole_frames(noise: float) -> None:
    mask = person(1080, 1920, noise)
    rle = encode_brush(mask)
    assert rle == sdk_encoded(mask)
    np.testing.assert_array_equal(decode_brush(rle, 1080, 1920), mask)
    np.testing.assert_array_equal(decode_brush(bytes(rle), 1080, 1920), mask)


@UNHURRIED
@given(masks())
def test_masks_of_any_memory_order_are_read_alike(mask: Mask) -> None:
    strided = np.zeros((mask.shape[0] * 2, mask.shape[1] * 3), np.bool_)[::2, ::3]
    strided[:] = mask
    assert encode_brush(np.asfortranarray(mask)) == encode_brush(strided) == encode_brush(mask)


@UNHURRIED
@given(SHAPES, st.integers(0, 2**32 - 1), st.sampled_from(["any", "few", "smoothed"]))
def test_decodes_what_the_sdk_encodes(shape: tuple[int, int], seed: int, kind: str) -> None:
    chance = np.random.default_rng(seed)
    pixels = chance.integers(0, 256, (*shape, 4), np.uint8)
    if kind == "few":
        pixels = chance.choice(np.array([0, 127, 128, 255], np.uint8), pixels.shape)
    if kind == "smoothed":  # Label Studio gives a stroke's pixels one value in all channels
        ramp = np.clip(128 + 40 * np.cumsum(chance.normal(size=shape), axis=1), 0, 255)
        pixels = np.repeat(ramp.astype(np.uint8)[..., None], 4, axis=2)
    rle = encode_rle(pixels.ravel())
    np.testing.assert_array_equal(decode_brush(rle, *shape), pixels[..., 3] > 127)
    np.testing.assert_array_equal(decode_brush(tuple(rle), *shape), alpha(decode_rle(rle), *shape))


@THOROUGH
@given(codes(), st.sampled_from([1, 2, 3, 7, 64, brush.WINDOW]))
def test_decodes_whatever_the_format_allows(
    code: tuple[bytes, list[int], int, int], window: int
) -> None:
    data, values, height, width = code
    with mock.patch.object(brush, "WINDOW", window):
        mask = decode_brush(data, height, width)
    np.testing.assert_array_equal(mask, alpha(values, height, width))
    if max(values) < 256:
        np.testing.assert_array_equal(decode_rle(data), values)  # so the test can write codes


@pytest.mark.parametrize("word", range(1, 33))
def test_values_of_every_size_listed_and_repeated(word: int) -> None:
    high, sizes = (1 << word) - 1, (3, 2, 1, 16)
    lists = [
        record([0, high] * 4, True, 0, word, sizes),
        record([0] * 3 + [high], True, 1, word, sizes),
    ]
    repeats = [record([high] * 2, False, number, word, sizes) for number in (2, 3)]
    mask = decode_brush(packed(16, "".join(lists + repeats), word, sizes), 2, 2)
    assert mask.all() if word > 7 else not mask.any()


def test_a_code_of_many_windows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (110, 200, 4), np.uint8)
    rle = encode_rle(pixels.ravel())
    assert len(rle) > 2 * brush.WINDOW
    np.testing.assert_array_equal(decode_brush(rle, 110, 200), pixels[..., 3] > 127)


def decoded_or_refused(data: bytes, height: int, width: int) -> None:
    """Nothing else is raised, and a mask is the one that the SDK sees."""
    try:
        mask = decode_brush(list(data), height, width)
    except LabelerError:
        return
    assert (mask.dtype, mask.shape) == (np.bool_, (height, width))
    if (data[4] >> 3) < 8:
        np.testing.assert_array_equal(mask, alpha(decode_rle(data), height, width))


@THOROUGH
@given(st.integers(1, 9), st.integers(1, 9), st.binary(max_size=150), st.binary(max_size=5))
def test_noise_is_decoded_or_refused(height: int, width: int, data: bytes, front: bytes) -> None:
    decoded_or_refused(data, height, width)
    decoded_or_refused((4 * height * width).to_bytes(4) + front + data, height, width)


@THOROUGH
@given(codes(), st.data())
def test_damage_is_decoded_or_refused(
    code: tuple[bytes, list[int], int, int], data: st.DataObject
) -> None:
    whole, _, height, width = code
    flipped = bytearray(whole)
    for bit in data.draw(st.lists(st.integers(0, 8 * len(whole) - 1), min_size=1, max_size=3)):
        flipped[bit // 8] ^= 1 << bit % 8
    decoded_or_refused(bytes(flipped), height, width)
    decoded_or_refused(whole[: data.draw(st.integers(0, len(whole)))], height, width)


@UNHURRIED
@given(masks(), st.data())
def test_whatever_is_cut_short_is_refused(mask: Mask, data: st.DataObject) -> None:
    rle = encode_brush(mask)
    kept = data.draw(st.integers(0, len(rle) - 2))  # the last byte may be nothing but padding
    with pytest.raises(LabelerError, match=r"cut short|less than its header"):
        decode_brush(rle[:kept], *mask.shape)


FOUR = "1" + "00" + "011" + "11111111"
FULL = {"records": "1" + "00" + "11" + "111111", "word": 6, "sizes": (2, 1, 1, 1)}  # to 64 bits


@pytest.mark.parametrize(
    ("rle", "words"),
    [
        (None, "not a list"),
        ("AAAAEA==", "not a list"),
        (16, "not a list"),
        ({"rle": []}, "not a list"),
        (np.zeros(20, np.uint8), "not a list"),
        ([0, 0, 0, 8, 256], "not a list"),
        ([0, 0, 0, -8], "not a list"),
        ([0, 0, 0, 10**30], "not a list"),
        ([0, 0, 0, 8.0], "not a list"),
        ([0, 0, 0, "8"], "not a list"),
        ([0, 0, None], "not a list"),
        ([[0, 0, 0, 8]], "not a list"),
        ([], "0 bytes, less than its header"),
        (packed(8, "")[:6], "6 bytes, less than its header"),
        (packed(8, ""), "cut short"),
        (packed(8, FOUR), "cut short"),
        (packed(8, FOUR + FOUR)[:-1], "cut short"),
        (packed(8, **FULL), "cut short"),
        (packed(8, FOUR + "1" + "00" + "100" + "11111111"), "longer than the frame"),
        (packed(8, "1" + "11" + "1" * 16 + "11111111"), "longer than the frame"),
        (packed(8, "0" + "00" + "111" + "1" * 64 + FOUR), "after the last pixel"),
        (packed(8, FOUR + FOUR) + b"\0\1", "after the last pixel"),
        (packed(8, FOUR + FOUR) + bytes(30) + b"\1", "after the last pixel"),
        (packed(0, ""), "has 0 values but a frame of 1x2 has 8; give"),
        (packed(7, FOUR + FOUR), "has 7 values but a frame of 1x2 has 8; give"),
        (packed(2**32 - 1, "1" + "11" + "1" * 24), "has 4294967295 values"),
    ],
)
def test_what_is_no_brush_mask_is_refused(rle, words) -> None:
    with pytest.raises(LabelerError, match=words):
        decode_brush(rle, 2, 1)


def test_zeros_may_follow() -> None:
    for tail in (b"", b"\0", bytes(99)):
        assert decode_brush(packed(8, FOUR + FOUR) + tail, 2, 1).all()
        assert not decode_brush(packed(4, **FULL) + tail, 1, 1).any()


@pytest.mark.parametrize(
    ("height", "width"),
    [(0, 5), (5, 0), (-2, -2), (1 << 15, 1 << 15), (1 << 20000, 1), (2.0, 1), (None, 1), ("2", 1)],
    ids=range(8),
)
def test_impossible_sizes_are_refused(height, width) -> None:
    with pytest.raises(LabelerError, match="give its frame's height and width"):
        decode_brush(packed(8, FOUR + FOUR), height, width)


def test_a_mask_without_pixels_is_refused() -> None:
    with pytest.raises(LabelerError, match="has 1 to 2"):
        encode_brush(np.zeros((0, 4), np.bool_))


def test_memory_is_bounded_by_the_frame_and_the_code() -> None:
    height, width = 540, 960
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 4), np.uint8)
    listed = [
        record(some.tolist(), True, 3, 8, SIZES)
        for some in np.split(pixels.ravel(), range(1 << 16, pixels.size, 1 << 16))
    ]
    data = packed(pixels.size, "".join(listed))
    tracemalloc.start()
    try:
        mask = decode_brush(data, height, width)
        _, peak = tracemalloc.get_traced_memory()
        with pytest.raises(LabelerError, match="cut short"):
            decode_brush(packed(4 * 32767 * 32767, FOUR), 32767, 32767)
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(mask, pixels[..., 3] > 127)
    assert peak < 4 * height * width + 3 * len(data)
