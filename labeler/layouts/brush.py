"""Label Studio's brush masks: reads and writes the run-length code in which its JSON holds a mask.

The code is thi.ng's rle-pack over the frame's RGBA values in reading order, most significant bit
first. A header of 53 bits holds the number of values (32 bits), the bits per value less one (5
bits), and four sizes, each less one (4 bits each). Records follow. A record is one bit, which is 1
if one value is repeated and 0 if all values are listed; the index of a size (2 bits); the number of
values less one (in as many bits as that size says); then the value, or the values. Zeros fill the
last byte.
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
"""The largest number of pixels, of four values each, that one record can repeat."""

BITS_OF_RUN = np.array([14] * 3 + [15] * 2 + [19] * 60 + [27])
HEAD_OF_RUN = np.array([4 << 11] * 3 + [5 << 12] * 2 + [6 << 16] * 60 + [7 << 24]) | 3 << 8
"""For runs of 0 to 64 pixels, and of more: how many bits a record has, and the record of one black
pixel, to which the number of pixels and the value are added."""

WINDOW = 1 << 16
"""How many bytes of a code are decoded at a time, which bounds the memory."""


def encode_brush(mask: Mask) -> list[int]:
    """Encode a mask as label-studio-sdk's `mask2rle` does, to the byte.

    Args:
        mask: H x W bool; each pixel becomes four values, all 0 or all 255.

    Returns:
        The content of `rle`: bytes, as a list of ints that can go into JSON.

    Raises:
        LabelerError: the mask has no pixels, or more than the format can count.
    """
    number = _number_of_values(*mask.shape)
    runs = np.diff(_bounds_of_runs(mask))
    kind = np.minimum(runs, len(BITS_OF_RUN) - 1)
    codes = HEAD_OF_RUN[kind] | ((runs - 1) % LONGEST) << 10
    codes[0 if mask[0, 0] else 1 :: 2] |= 255
    # A run that is too long for one record becomes full records, then one with the rest.
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
    # Records share no bits, so a sum joins them, and add.at is six times as fast as a bitwise or.
    np.add.at(words, starts >> 6, aligned >> offset)
    np.add.at(words, (starts >> 6) + 1, aligned << 1 << (63 - offset))
    # label-studio-sdk adds a whole byte of zeros where the last one is full.
    return list(words.astype(">u8").tobytes()[: total // 8 + 1])


def decode_brush(rle: Sequence[int] | bytes, height: int, width: int) -> Mask:
    """Decode a brush region: True where the alpha value is above 127.

    Browsers smooth the edges of strokes, so any value may occur; the four sizes may be any, too.

    Args:
        rle: the content of `rle`: ints of 0 to 255 in a list or tuple, or the same as bytes.
        height: of the frame, in pixels; Label Studio's `original_height`.
        width: of the frame, in pixels; Label Studio's `original_width`.

    Returns:
        H x W bool.

    Raises:
        LabelerError: `rle` is no such code, is damaged, or belongs to a frame of another size.
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
    """A code of `bits` bits whose header states `number` values of `word` bits each."""

    def __init__(self, data: bytes) -> None:
        self.bits = 8 * len(data)
        if self.bits < HEADER_BITS:
            raise _damaged(f"it has {len(data)} bytes, less than its header")
        header = int.from_bytes(data[:7])
        self.number = header >> 24
        self.word = (header >> 19 & 31) + 1
        self.sizes = tuple((header >> shift & 15) + 1 for shift in (15, 11, 7, 3))
        self.data = data + bytes(16 + -len(data) % 8)  # so that reads may go beyond the end
        self.words = np.frombuffer(self.data, ">u8").astype(np.uint64)

    def read(self, bits: Whole) -> Words:
        """Read the 64 bits that begin at each of N bit positions, as N uint64."""
        at, offset = bits >> 6, (bits & 63).view(np.uint64)
        found: Words = (self.words[at] << offset) | (self.words[at + 1] >> 1 >> (63 - offset))
        return found

    def walk(self, bit: int) -> tuple[Whole, int]:
        """Find the bit positions of a window's records, from `bit` on, and of the next record.

        The last record may end after the code; there are no records if `bit` is at the end.
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
        """Compute how many bits a record of listed values has."""
        head = int.from_bytes(self.data[bit >> 3 : (bit >> 3) + 4]) << (bit & 7) & 0xFFFFFFFF
        size = self.sizes[head >> 29 & 3]
        return 3 + size + self.word * (((head << 3 & 0xFFFFFFFF) >> (32 - size)) + 1)

    def alphas(self, at: Whole, listed: Flags, bounds: Whole) -> tuple[Whole, Flags]:
        """Return from which pixels on the mask is on or off: M pixels, never falling, and M flags.

        `at` holds the bit positions of the first values of N records. Record i holds the frame's
        values from `bounds[i]` to `bounds[i + 1]`. `listed` says which records list their values.
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
    """Tabulate the bits of a record by the byte that it begins in and the five bits after that.

    Each of the 8192 entries packs eight numbers of one byte, one for each bit of the byte at which
    the record may begin. A number is 0 if these bits do not determine it, or if it is above 255.
    """
    six = np.arange(1 << 13)[:, None] >> np.arange(7, -1, -1) & 63
    size, listed = np.array(sizes)[six >> 3 & 3], six < 32
    steps = 3 + size + word * np.where(listed, ((six & 7) >> np.maximum(3 - size, 0)) + 1, 1)
    steps[(listed & (size > 3)) | (steps > 255)] = 0
    packed: Words = steps.astype(np.uint8).view(np.uint64).reshape(-1)
    return packed


def _bounds_of_runs(mask: Mask) -> Whole:
    """Return the first pixel of each run, in reading order, and finally the number of pixels."""
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
    """Add to `turns`, 2 x M, that a mask turns on and off, alternately, at N pixels.

    Pixels are the bits of M words. A mask that is on from bit a to bit b is 2**b - 2**a in their
    words (row 0), and -1 in all words after a's until b's (row 1, as differences).
    """
    signs = np.where(on, np.uint64(2**64 - 1), np.uint64(1))
    np.add.at(turns[0], pixels >> 6, signs << (pixels & 63).view(np.uint64))
    np.add.at(turns[1], (pixels >> 6) + 1, signs)


def _unpacked(words: Words) -> Flags:
    """Unpack the bits of N words into 64 N flags, the least significant bit of each word first."""
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
