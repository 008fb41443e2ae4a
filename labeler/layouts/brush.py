"""Label Studio's brush masks: a frame's mask as the run-length code that its JSON holds.

The code is thi.ng's rle-pack over the frame's RGBA values in reading order, most significant bit
first. A header of 53 bits says how many values there are (32 bits), how many bits one takes (5,
less one) and four sizes (4 each, less one). Records follow: a bit that is 1 where one value is
repeated and 0 where all values are listed, the number of a size (2 bits), how many values (less
one, in as many bits as that size says), then the value, or the values. Zeros fill the last byte.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from labeler.errors import LabelerError
from labeler.mask import Mask

Whole = NDArray[np.int64]
Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]

HEADER_BITS = 53

LONGEST = 1 << 14
"""How many pixels, of four values each, one record can repeat."""

BITS_OF_RUN = np.array([14] * 3 + [15] * 2 + [19] * 60 + [27])
HEAD_OF_RUN = np.array([4 << 11] * 3 + [5 << 12] * 2 + [6 << 16] * 60 + [7 << 24]) | 3 << 8
"""The records of runs of 0 to 64 pixels, and of more: their bits; such a one for a black pixel."""

WINDOW = 1 << 16
"""How many bytes of a code are decoded at a time, which bounds the memory."""


def encode_brush(mask: Mask) -> list[int]:
    """Encode a mask as label-studio-sdk's `mask2rle` does, to the byte.

    Args:
        mask: H x W bool; each pixel becomes four values, all 0 or all 255.

    Returns:
        What belongs under `rle`: bytes, as a list of ints so that they can go into JSON.

    Raises:
        LabelerError: the mask has no pixels, or more than the format can count.
    """
    number = _number_of_values(*mask.shape)
    runs = np.diff(_bounds_of_runs(mask))
    kind = np.minimum(runs, len(BITS_OF_RUN) - 1)
    codes = HEAD_OF_RUN[kind] | ((runs - 1) % LONGEST) << 10
    codes[0 if mask[0, 0] else 1 :: 2] |= 255
    # A run longer than a record can say is many full records, then one with the rest.
    records = (runs - 1) // LONGEST + 1
    bits = BITS_OF_RUN[kind].repeat(records)
    full = (codes | (LONGEST - 1) << 10).repeat(records)
    full[np.cumsum(records) - 1] = codes

    ends = HEADER_BITS + np.cumsum(bits)
    starts, total = ends - bits, int(ends[-1])
    words = np.zeros(total // 64 + 2, np.uint64)
    words[0] = (number << 32) + (0b00111_0010_0011_0111_1111 << 11)
    aligned = (full << (64 - bits)).view(np.uint64)
    offset = (starts & 63).view(np.uint64)
    # Records share no bits, so adding joins them, and add.at is six times as fast as an or.
    np.add.at(words, starts >> 6, aligned >> offset)
    np.add.at(words, (starts >> 6) + 1, aligned << 1 << (63 - offset))
    # label-studio-sdk adds a whole byte of zeros where the last one is full.
    return list(words.astype(">u8").tobytes()[: total // 8 + 1])


def decode_brush(rle: Sequence[int] | bytes, height: int, width: int) -> Mask:
    """Decode a brush region: True where the alpha value is above 127.

    Browsers smooth the edges of strokes, so values are arbitrary, and so may be all sizes.

    Args:
        rle: what lay under `rle`: ints of 0 to 255 in a list or tuple, or the same as bytes.
        height: of the frame, in pixels; Label Studio's `original_height`.
        width: of the frame, in pixels; Label Studio's `original_width`.

    Returns:
        H x W bool.

    Raises:
        LabelerError: this is no such code, is damaged, or is of a frame of another size.
    """
    number = _number_of_values(height, width)
    code = _Code(_as_bytes(rle))
    if code.number != number:
        raise LabelerError(
            f"The brush mask has {code.number} values but a frame of {width}x{height} has "
            f"{number}; give the original_width and original_height that came with it."
        )
    turns = np.zeros((2, height * width // 64 + 2), np.uint64)
    bit, done, inside = HEADER_BITS, 0, False
    while done < number:
        starts, bit = code.walk(bit)
        heads = code.read(starts)
        sizes = np.array(code.sizes)[(heads >> 61 & 3).view(np.int64)]
        counts = (heads << 3 >> (64 - sizes).view(np.uint64)).view(np.int64) + 1
        ends = done + np.cumsum(counts)
        used = int(np.searchsorted(ends, number)) + 1
        if used < len(starts):
            bit = int(starts[used])
        if len(starts) == 0 or bit > code.bits:
            raise _damaged("it is cut short")
        bounds = np.concatenate(([done], ends[:used]))
        done = int(bounds[-1])
        if done > number:
            raise _damaged("its runs are longer than the frame")
        pixels, on = code.alphas((starts + 3 + sizes)[:used], heads[:used] >> 63 == 0, bounds)
        if len(on):
            turned = on != np.concatenate(([inside], on[:-1]))
            _turn(turns, pixels[turned], on[turned])
            inside = bool(on[-1])
    if code.read(np.array([bit])).any() or code.words[(bit >> 6) + 1 :].any():
        raise _damaged("it goes on after the last pixel")
    mask = _unpacked(turns[0] + np.cumsum(turns[1]))
    return mask[: height * width].reshape(height, width)


class _Code:
    """A code of `bits` bits that says it has `number` values of `word` bits each."""

    def __init__(self, data: bytes) -> None:
        self.bits = 8 * len(data)
        if self.bits < HEADER_BITS:
            raise _damaged(f"it has {len(data)} bytes, less than its header")
        header = int.from_bytes(data[:7])
        self.number = header >> 24
        self.word = (header >> 19 & 31) + 1
        self.sizes = tuple((header >> shift & 15) + 1 for shift in (15, 11, 7, 3))
        self.data = data + bytes(16 + -len(data) % 8)  # so that one may read beyond the end
        self.words = np.frombuffer(self.data, ">u8").astype(np.uint64)

    def read(self, bits: Whole) -> Words:
        """The 64 bits that begin at each of N bits of the code, as N uint64."""
        at, offset = bits >> 6, (bits & 63).view(np.uint64)
        found: Words = (self.words[at] << offset) | (self.words[at + 1] >> 1 >> (63 - offset))
        return found

    def walk(self, bit: int) -> tuple[Whole, int]:
        """The bits where a window's records start, from `bit` on, and where the next would start.

        The last may end behind the code; there are none where `bit` is at the end already.
        """
        origin = bit & ~7
        window = np.frombuffer(self.data, np.uint8)[bit >> 3 :][: WINDOW + 1].astype(np.int64)
        steps = _steps(self.word, self.sizes)[window[:-1] << 5 | window[1:] >> 3].tobytes()
        end = min(8 * WINDOW, self.bits - origin)
        starts = array("q")
        append, at = starts.append, bit & 7
        while at < end:
            append(at)
            at += steps[at] or self._long_step(origin + at)
        return np.asarray(starts, np.int64) + origin, origin + at

    def _long_step(self, bit: int) -> int:
        """How many bits a record of listed values takes."""
        head = int.from_bytes(self.data[bit >> 3 : (bit >> 3) + 4]) << (bit & 7) & 0xFFFFFFFF
        size = self.sizes[head >> 29 & 3]
        return 3 + size + self.word * (((head << 3 & 0xFFFFFFFF) >> (32 - size)) + 1)

    def alphas(self, at: Whole, listed: Flags, bounds: Whole) -> tuple[Whole, Flags]:
        """From which pixels on the mask is on or off: M pixels, never falling, and M flags.

        The first value of N records is `at` a bit of the code, and a record has the frame's values
        from one of N + 1 `bounds` to the next. `listed` says which records list their values.
        """
        # A pixel p's alpha is value 4 p + 3; the first at or behind value v is that of v // 4.
        pixels = bounds >> 2
        if listed.any():
            times = np.where(listed, np.diff(pixels), 1)
            record = np.arange(len(at)).repeat(times)
            pixels = pixels[record] + np.arange(len(record)) - (np.cumsum(times) - times)[record]
            skipped = np.where(listed[record], 4 * pixels + 3 - bounds[record], 0)
            at = at[record] + self.word * skipped
        return pixels[: len(at)], self.read(at) >> (64 - self.word) > 127


@lru_cache(maxsize=8)
def _steps(word: int, sizes: tuple[int, ...]) -> Words:
    """How many bits a record takes, by the byte it begins in and the five bits behind that.

    Each of the 8192 is eight numbers of one byte, for the bit of the byte that the record begins
    at: 0 where that much of it does not tell, or where it takes more than 255.
    """
    six = np.arange(1 << 13)[:, None] >> np.arange(7, -1, -1) & 63
    size, listed = np.array(sizes)[six >> 3 & 3], six < 32
    steps = 3 + size + word * np.where(listed, ((six & 7) >> np.maximum(3 - size, 0)) + 1, 1)
    steps[(listed & (size > 3)) | (steps > 255)] = 0
    packed: Words = steps.astype(np.uint8).view(np.uint64).reshape(-1)
    return packed


def _bounds_of_runs(mask: Mask) -> Whole:
    """The first pixel of each run, in reading order, and at the end the number of pixels."""
    packed = np.packbits(mask, bitorder="little")
    octets = np.zeros(mask.size // 64 * 8 + 8, np.uint8)
    octets[: len(packed)] = packed
    words: Words = octets.view("<u8").astype(np.uint64, copy=False)
    changes = words << np.uint64(1)
    changes[1:] |= words[:-1] >> np.uint64(63)
    changes ^= words
    changes[0] |= 1
    changes[-1] |= 1 << mask.size % 64
    some = np.flatnonzero(changes != 0)
    bits = np.flatnonzero(_unpacked(changes[some]))
    bounds: Whole = (some[bits >> 6] << 6) + (bits & 63)
    return bounds


def _turn(turns: Words, pixels: Whole, on: Flags) -> None:
    """Note in `turns`, 2 x M, where a mask turns on and off, at N pixels by turns.

    Pixels are the bits of M words. To be on from bit a to b is 2**b - 2**a there, and -1 in all
    words behind a's until b's: row 0 has the one, and row 1 the other as differences.
    """
    signs = np.where(on, np.uint64(2**64 - 1), np.uint64(1))
    np.add.at(turns[0], pixels >> 6, signs << (pixels & 63).view(np.uint64))
    np.add.at(turns[1], (pixels >> 6) + 1, signs)


def _unpacked(words: Words) -> Flags:
    """The bits of N words as 64 N flags, the least significant of each first."""
    little = words.astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(little, bitorder="little").view(np.bool_)


def _number_of_values(height: int, width: int) -> int:
    whole = isinstance(height, int) and isinstance(width, int)
    if whole and min(height, width) > 0 and height * width < 1 << 30:
        return 4 * height * width
    raise LabelerError("A brush mask has 1 to 2**30 - 1 pixels; give its frame's height and width.")


def _as_bytes(rle: Sequence[int] | bytes) -> bytes:
    if isinstance(rle, list | tuple | bytes | bytearray):
        try:
            return bytes(rle)
        except (TypeError, ValueError):
            pass
    raise _damaged("it is not a list of whole numbers of 0 to 255")


def _damaged(why: str) -> LabelerError:
    return LabelerError(f"The brush mask is unreadable: {why}; draw it again in Label Studio.")
