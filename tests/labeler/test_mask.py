import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from labeler.errors import LabelerError
from labeler.mask import encode_mask, mask_digest, read_mask, read_note

masks = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda size: arrays(np.bool_, size)
)


@given(mask=masks, note=st.none() | st.text(st.characters(codec="latin-1", min_codepoint=32)))
def test_round_trip(tmp_path_factory, mask, note):
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    path.write_bytes(encode_mask(mask, note))
    assert np.array_equal(read_mask(path, mask.shape), mask)
    assert read_note(path) == note


def test_is_a_one_bit_palette_png_of_background_and_portrait():
    mask = np.eye(9, 17, dtype=bool)
    data = encode_mask(mask)
    assert data[24:26] == bytes([1, 3])  # IHDR: bit depth 1, colour type 3 (palette)
    picture = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(picture), mask.astype(np.uint8))
    assert picture.getpalette()[:6] == [0, 0, 0, 128, 0, 0]


def test_the_bytes_depend_on_the_mask_alone():
    mask = np.random.default_rng(0).random((50, 60)) > 0.5
    assert encode_mask(mask) == encode_mask(np.asfortranarray(mask.copy()))


@pytest.mark.parametrize(
    "others",
    [
        lambda mask: Image.fromarray(mask.astype(np.uint8) * 255),
        lambda mask: Image.fromarray(mask.astype(np.uint8)),
        lambda mask: Image.fromarray(mask.astype(np.uint8) * 38),
        lambda mask: Image.fromarray(mask),
        lambda mask: Image.fromarray(mask.astype(np.uint16) * 65535),
        lambda mask: Image.fromarray(np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)),
        lambda mask: Image.fromarray(mask[..., None] * np.array([128, 0, 0], np.uint8)),
        lambda mask: Image.fromarray(
            np.concatenate(
                [np.repeat(mask[..., None] * np.uint8(255), 3, 2), np.full((9, 7, 1), 255, "u1")],
                axis=2,
            )
        ),
    ],
    ids=["0/255", "0/1 grey", "0/38 grey", "1 bit", "16 bit", "white on black", "red", "opaque"],
)
def test_reads_the_masks_of_others(tmp_path, others):
    mask = np.arange(63).reshape(9, 7) % 3 == 0
    others(mask).save(tmp_path / "other.png")
    assert np.array_equal(read_mask(tmp_path / "other.png"), mask)


@pytest.mark.parametrize("value", [0, 1, 255])
def test_reads_a_mask_of_one_value(tmp_path, value):
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(tmp_path / "one.png")
    assert (read_mask(tmp_path / "one.png") == (value > 0)).all()


def refused(path: Path, size=None) -> str:
    with pytest.raises(LabelerError) as caught:
        read_mask(path, size)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_refuses_another_size_before_decoding_it(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(encode_mask(np.zeros((20, 30), bool))[:60])  # the header only
    assert "is 30x20 but the frame is 40x20" in refused(path, (20, 40))


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 128, 255), (3, 9), range(256)])
def test_refuses_what_is_not_binary(tmp_path, values):
    values = np.array(values, np.uint8)
    Image.fromarray(np.tile(values, (4, 1))).save(tmp_path / "soft.png")
    assert f"has {len(values)} values" in refused(tmp_path / "soft.png")


def test_refuses_transparency_damage_and_absence(tmp_path):
    Image.fromarray(np.zeros((4, 4, 4), np.uint8)).save(tmp_path / "clear.png")
    assert "transparent" in refused(tmp_path / "clear.png")
    whole = encode_mask(np.random.default_rng(0).random((80, 80)) > 0.5)
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    assert "not a readable mask" in refused(tmp_path / "torn.png")
    (tmp_path / "text.png").write_text("no picture")
    assert "not a readable mask" in refused(tmp_path / "text.png")
    (tmp_path / "empty.png").touch()
    assert "not a readable mask" in refused(tmp_path / "empty.png")
    assert "is missing" in refused(tmp_path / "nowhere.png")


def test_the_digest_tells_masks_and_sizes_apart():
    mask = np.zeros((8, 6), bool)
    assert mask_digest(mask) != mask_digest(mask.reshape(6, 8))
    other = mask.copy()
    other[3, 3] = True
    assert mask_digest(mask) != mask_digest(other)
    assert mask_digest(mask) == mask_digest(np.asfortranarray(mask))
