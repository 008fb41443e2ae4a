"""Which index or colour of a mask is the background: the inverse of a mask never comes in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from labeler.errors import LabelerError
from labeler.images.palette import davis_palette
from labeler.layouts.objects import read_objects
from labeler.mask import encode_published_mask, read_mask

MASK = np.zeros((12, 16), bool)
MASK[3:9, 4:10] = True


def indexed(path: Path, values: np.ndarray, *colours: tuple[int, int, int], clear=None) -> Path:
    picture = Pillow.fromarray(values.astype(np.uint8)).copy()
    made = Pillow.frombytes("P", picture.size, picture.tobytes())
    made.putpalette([n for colour in colours for n in colour])
    made.save(path, **({} if clear is None else {"transparency": clear}))
    return path


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


@pytest.mark.parametrize("read", [read_mask, lambda path: read_objects(path) > 0])
@pytest.mark.parametrize(
    ("background", "portrait", "colours", "clear"),
    [
        (0, 1, (BLACK, WHITE), None),
        (1, 0, (WHITE, BLACK), None),
        (2, 1, (WHITE, RED, BLACK), None),
        (0, 1, (BLACK, BLACK), None),  # DAVIS's indices with a palette that nobody filled in
        (0, 1, (WHITE, RED), 0),
        (1, 0, (RED, WHITE), 1),
    ],
)
def test_black_or_transparent_is_the_background(
    tmp_path, read, background, portrait, colours, clear
):
    path = indexed(tmp_path / "a.png", np.where(MASK, portrait, background), *colours, clear=clear)
    np.testing.assert_array_equal(read(path), MASK)


@pytest.mark.parametrize("read", [read_mask, read_objects])
@pytest.mark.parametrize(
    ("background", "portrait", "colours", "clear"),
    [
        (0, 1, (WHITE, RED), None),
        (0, 1, (WHITE, BLACK), 0),
        (1, 1, (RED, WHITE), None),
        (0, 1, (WHITE, RED), b"\x80\xff"),
    ],
)
def test_an_unclear_palette_is_refused_with_a_cure(
    tmp_path, read, background, portrait, colours, clear
):
    path = indexed(tmp_path / "a.png", np.where(MASK, portrait, background), *colours, clear=clear)
    with pytest.raises(LabelerError, match="save it again as a grey PNG, 0 for the background"):
        read(path)


@pytest.mark.parametrize("quantized", [lambda p: p.quantize(2), lambda p: p.quantize(4)])
def test_what_pillow_quantizes_is_no_inverse(tmp_path, quantized):
    for mask in (MASK, ~MASK):
        quantized(Pillow.fromarray(mask.astype(np.uint8) * 255)).save(tmp_path / "a.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), mask)


def test_transparent_is_background_and_half_transparent_is_refused(tmp_path):
    pixels = np.zeros((*MASK.shape, 4), np.uint8)
    pixels[MASK] = 255
    Pillow.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), MASK)
    pixels[MASK, 3] = 90
    Pillow.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(LabelerError, match="half-transparent"):
        read_mask(tmp_path / "a.png")
    pixels[MASK] = (0, 0, 0, 255)  # a black person on nothing, or a hole in a black picture
    Pillow.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(LabelerError, match="no opaque ones in another colour"):
        read_mask(tmp_path / "a.png")


def test_low_grey_levels_are_objects_and_soft_ones_are_not(tmp_path):
    values = np.zeros((6, 9), np.uint8)
    values[2:4, 2:4], values[4:, 4:] = 1, 2
    Pillow.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_objects(tmp_path / "a.png"), values)
    for soft in (values * 100, np.where(values == 2, 255, values).astype(np.uint8)):
        Pillow.fromarray(soft).save(tmp_path / "a.png")
        with pytest.raises(LabelerError, match="has 3 values"):
            read_objects(tmp_path / "a.png")


def test_published_masks_have_the_256_colours_of_davis(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_published_mask(MASK))
    with Pillow.open(path) as picture:
        assert picture.mode == "P"
        assert tuple(picture.getpalette()) == davis_palette()
        np.testing.assert_array_equal(np.asarray(picture), MASK)
    assert len(davis_palette()) == 768
    assert davis_palette()[15:18] == (128, 0, 128)
    assert davis_palette()[21 * 3 : 23 * 3] == (128, 64, 128, 22, 22, 22)
