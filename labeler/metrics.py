"""Quality measures of masks: region similarity J and boundary measure F, as in DAVIS.

The definitions are those of Perazzi et al. (CVPR 2016), as DAVIS 2017's evaluation computes them.
Masks are scored at their own size: a smaller copy has another radius and another boundary.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.mask import Mask

BOUND_TH = 0.008
"""The largest distance at which boundaries still match, as a share of the frame's diagonal."""

RECALL_THRESHOLD = 0.5
"""A frame counts as recalled when its score is strictly above this."""


@dataclass(frozen=True)
class Statistics:
    """A summary of one measure over a clip's frames, or over a dataset's clips.

    `mean` and `recall` (the share of frames above one half) are 0 to 1, higher is better.
    `decay` is the loss from a clip's first quarter to its last one, -1 to 1, lower is better.
    """

    mean: float
    recall: float
    decay: float


@dataclass(frozen=True)
class Scores:
    """J (`region`) and F (`boundary`) of a clip, or of a dataset."""

    region: Statistics
    boundary: Statistics

    @property
    def j_and_f(self) -> float:
        """The mean of mean J and mean F, the number that DAVIS ranks by."""
        return (self.region.mean + self.boundary.mean) / 2


def region_similarity(prediction: Mask, truth: Mask, void: Mask | None = None) -> float:
    """Compute J, the intersection over the union of two masks, 0 to 1.

    Args:
        prediction: H x W bool.
        truth: H x W bool, of the same size.
        void: H x W bool, True where a pixel counts for neither mask.

    Returns:
        J; 1 where the union is empty.

    Raises:
        ValueError: a mask is not H x W bool, or the sizes differ.
    """
    prediction, truth = _without_void(prediction, truth, void)
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def boundary_measure(
    prediction: Mask,
    truth: Mask,
    void: Mask | None = None,
    *,
    radius: int | None = None,
    bound_th: float = BOUND_TH,
) -> float:
    """Compute F, the harmonic mean of the boundaries' precision and recall, 0 to 1.

    Precision is the share of the prediction's boundary that lies within `radius` of the truth's
    boundary, and recall the reverse. At DAVIS's own radius F is blunt (a portrait moved by 14
    pixels at 1080p still has F = 1), so it is worth looking at a radius of 1 or 2 as well.

    Args:
        prediction: H x W bool.
        truth: H x W bool, of the same size.
        void: H x W bool, True where a pixel counts for neither; its rim is a boundary, as in DAVIS.
        radius: in pixels, Euclidean, inclusive; None for `boundary_radius` of the frame.
        bound_th: share of the diagonal; used only where `radius` is None.

    Returns:
        F; 1 where neither mask has a boundary, 0 where one of them has none.

    Raises:
        ValueError: a mask is not H x W bool, the sizes differ, or the radius is negative.
    """
    prediction, truth = _without_void(prediction, truth, void)
    radius = boundary_radius(truth.shape, bound_th) if radius is None else operator.index(radius)
    if radius < 0:
        raise ValueError(f"radius is {radius} but a distance in pixels is 0 or more")
    box = _box(prediction | truth)
    predicted_rows, true_rows = boundary(prediction[box]), boundary(truth[box])
    # The gap of `radius` columns keeps a row's pixels from spreading into the next row.
    stride = true_rows.shape[1] + radius
    predicted, true = _bits(predicted_rows, stride), _bits(true_rows, stride)
    if not predicted or not true:
        return 1.0 if predicted == true else 0.0
    precision = (predicted & _dilated(true, radius, stride)).bit_count() / predicted.bit_count()
    recall = (true & _dilated(predicted, radius, stride)).bit_count() / true.bit_count()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_radius(shape: tuple[int, ...], bound_th: float = BOUND_TH) -> int:
    """Compute the largest distance at which boundaries match in a frame, in whole pixels.

    It is the share `bound_th` of the diagonal of a frame of `shape` (height, width), rounded up: 8
    at 480 x 854, 18 at 1080 x 1920.

    Raises:
        ValueError: `bound_th` is not in [0, 1). (DAVIS takes 1 and more as pixels; use `radius`.)
    """
    if not 0 <= bound_th < 1:
        raise ValueError(f"bound_th is {bound_th} but a share of the diagonal is 0 to below 1")
    height, width = shape
    return math.ceil(bound_th * math.sqrt(height * height + width * width))


def boundary(mask: Mask) -> Mask:
    """Mark the pixels at which a mask changes towards the east, the south or the south-east.

    The rule is `seg2bmap` of the Berkeley segmentation benchmark (D. Martin, 2003), which DAVIS
    uses: the line is one pixel wide and lies half a pixel towards the origin. The last row looks
    only east, the last column only south, and their corner is never marked. H x W in and out.
    """
    edge = np.zeros_like(mask)
    here = mask[:-1, :-1]
    edge[:-1, :-1] = (here ^ mask[:-1, 1:]) | (here ^ mask[1:, :-1]) | (here ^ mask[1:, 1:])
    edge[-1, :-1] = mask[-1, :-1] ^ mask[-1, 1:]
    edge[:-1, -1] = mask[:-1, -1] ^ mask[1:, -1]
    return edge


def statistics(values: Sequence[float] | NDArray[np.floating]) -> Statistics:
    """Summarize one measure over a clip's frames: mean, recall and decay.

    Quarters share their edge frames: a clip of n frames is cut at (n - 1) / 4, rounded half up,
    and a cut's frame counts on both sides. So even one frame has quarters; its decay is 0.
    DAVIS keeps the cuts in 8 bits, so its decay is wrong from 256 frames on; this one is not.

    Args:
        values: one J or F per frame, in the clip's order, at least one. As in DAVIS, a NaN is left
            out of mean and decay, and counts as a frame that is not recalled.

    Raises:
        ValueError: there are no values, or they are not one-dimensional.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not scores.size:
        raise ValueError(f"values have shape {scores.shape} but must be one score for each frame")
    # round half up of (n - 1) * i / 4 for i = 1 and 3, in whole numbers
    first_end, last_start = ((len(scores) - 1) * i + 2 >> 2 for i in (1, 3))
    return Statistics(
        mean=_mean(scores),
        recall=float(np.mean(scores > RECALL_THRESHOLD)),
        decay=_mean(scores[: first_end + 1]) - _mean(scores[last_start:]),
    )


def clip_scores(
    region: Sequence[float] | NDArray[np.floating], boundary: Sequence[float] | NDArray[np.floating]
) -> Scores:
    """Compute a clip's scores from one J and one F per frame, in the clip's order.

    The caller chooses which frames count: DAVIS leaves out the first and the last frame if the
    first mask was given, and scores every annotated frame if no mask was given.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    if len(region) != len(boundary):
        raise ValueError(f"there are {len(region)} values of J but {len(boundary)} of F")
    return Scores(statistics(region), statistics(boundary))


def dataset_scores(clips: Sequence[Scores]) -> Scores:
    """Average scores over clips, so that a long clip counts no more than a short one.

    Raises:
        ValueError: there are no clips.
    """
    if not clips:
        raise ValueError("there are no clips to average over")
    region = np.mean([astuple(clip.region) for clip in clips], axis=0)
    contour = np.mean([astuple(clip.boundary) for clip in clips], axis=0)
    return Scores(Statistics(*region.tolist()), Statistics(*contour.tolist()))


def _mean(values: NDArray[np.float64]) -> float:
    """Average the values that are not NaN; return NaN, without a warning, if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _without_void(prediction: Mask, truth: Mask, void: Mask | None) -> tuple[Mask, Mask]:
    """Check that all are bool masks of one size, and clear prediction and truth where void."""
    for name, mask in (("truth", truth), ("prediction", prediction), ("void", void)):
        if mask is None:
            continue
        if mask.ndim != 2 or not mask.size or mask.dtype != np.bool_:
            raise ValueError(f"{name} is {mask.dtype} {mask.shape} but a mask is bool (H, W)")
        if mask.shape != truth.shape:
            raise ValueError(f"{name} is {mask.shape} but truth is {truth.shape} (H, W)")
    return (prediction, truth) if void is None else (prediction & ~void, truth & ~void)


def _box(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns of a mask's bounding box, one larger on each side if possible.

    With that margin, a boundary in the box is the same as in the frame: the box's last row and
    column are either those of the frame or empty.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(max(y - 1, 0), y + height + 1), slice(max(x - 1, 0), x + width + 1)


def _bits(mask: Mask, stride: int) -> int:
    """Pack a mask into one integer: one bit per pixel, rows `stride` bits apart.

    Python shifts and combines such integers at the speed of memory, eight pixels per byte.
    """
    rows = np.zeros((mask.shape[0], stride), np.bool_)
    rows[:, : mask.shape[1]] = mask
    return int.from_bytes(np.packbits(rows).tobytes(), "big")


def _dilated(bits: int, radius: int, stride: int) -> int:
    """Spread every pixel over the disk x^2 + y^2 <= radius^2, exactly.

    From the disk's top to its middle the rows only get longer, so one pass widens the pixels step
    by step and lays each width at its own height. Bits that leave the frame land on no pixel.
    """
    wide = bits
    half_width = disk = 0
    for y in range(radius, -1, -1):
        while (half_width + 1) ** 2 + y**2 <= radius**2:
            half_width += 1
            wide |= bits << half_width | bits >> half_width
        disk |= wide << y * stride | wide >> y * stride
    return disk
