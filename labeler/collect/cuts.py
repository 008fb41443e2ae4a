"""Finds camera cuts: hard cuts, as PySceneDetect finds them, and dissolves and fades."""

from collections import deque
from fractions import Fraction

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from labeler.clip import Image

_SIDE = 192  # pixels; this averages away noise, and what changes at a codec's key frames
_FLASH = Fraction(1, 6)  # seconds; no flash lasts longer
_DISSOLVE = Fraction(1, 2)  # seconds between the pictures whose colours are compared

# Thresholds of PySceneDetect. Its defaults are 3 and 15; these also find cuts within one scene.
_ADAPTIVE_RATIO = 2.0
_LEAST_CHANGE = 8.0

# A cut changes the picture at least so many times as much as anything else does in half a second
# before and after. Shaking hands, fast dancers, and encodings that jump from picture to picture or
# sharpen it at their key frames do so again and again.
_STANDS_OUT = 2.0
_OTHER_PICTURE = 30.0  # levels of grey; so much changes only from one scene to another
_GREY_SIDE = 32  # pixels; this averages away noise and blocks

# Threshold on the change of colours in half a second, 0 to 1: one shot is below, two are above.
_OTHER_COLOURS = 0.4


class CutFinder:
    """Finds the camera cuts of a video whose frames it sees once, in order.

    PySceneDetect's AdaptiveDetector finds what may be hard cuts; those that stand out from half a
    second around are. It takes a flash for a cut, and it misses a dissolve, because two
    neighbouring frames hardly differ. So the colours of each frame are also compared with those of
    half a second before: after a dissolve or a fade they differ, after a flash they are the same
    again. A frame costs about a millisecond and leaves two numbers in memory.

    A cut in the first or last two frames is not found. Cuts less than half a second apart may hide
    each other, unless they are between scenes that differ much.
    """

    def __init__(self, rate: Fraction) -> None:
        """Expect frames at `rate` a second."""
        self._gap = max(3, round(min(rate, Fraction(30)) * _DISSOLVE))
        self._flash = max(1, round(min(rate, Fraction(30)) * _FLASH))
        self._detector = AdaptiveDetector(
            adaptive_threshold=_ADAPTIVE_RATIO,
            min_content_val=_LEAST_CHANGE,
            min_scene_len=self._flash,
        )
        self._recent: deque[MatLike] = deque(maxlen=self._gap + 1)
        self._hard: list[int] = []
        self._changes: list[float] = []
        self._steps: list[float] = []  # from each frame to the next, in levels of grey
        self._grey: MatLike | None = None

    def see(self, image: Image) -> None:
        """Look at the next frame, H x W x 3 uint8 BGR."""
        small = _shrunk(image)
        place = FrameTimecode(len(self._changes), Fraction(30))  # only its number is used
        self._hard += [found.frame_num for found in self._detector.process_frame(place, small)]
        grey = _shrunk(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), _GREY_SIDE)
        before = grey if self._grey is None or self._grey.shape != grey.shape else self._grey
        self._steps.append(float(cv2.absdiff(grey, before).mean()))
        self._grey = grey
        self._recent.append(_colours(small))
        self._changes.append(
            cv2.compareHist(self._recent[0], self._recent[-1], cv2.HISTCMP_BHATTACHARYYA)
        )

    def cuts(self) -> tuple[int, ...]:
        """Return the frames that begin a new shot, in order, without the video's first frame."""
        changes = np.array(self._changes)
        hard, dark_again = [], -1
        for cut in filter(self._stands_out, self._hard):
            if self._is_flash(changes, cut):
                dark_again = cut + self._flash
            elif cut > dark_again:
                hard.append(cut)
        other = changes > _OTHER_COLOURS
        for cut in hard:
            other[cut : cut + self._gap + self._flash] = False  # found already
        soft = [
            max(1, (start + end - self._gap) // 2)
            for start, end in _runs(other)
            if end - start > self._flash and end not in hard  # else the same change
        ]
        return tuple(sorted({*hard, *soft}))

    def _stands_out(self, cut: int) -> bool:
        """Tell whether the picture changes far more at a cut than anywhere near it."""
        near = [
            *self._steps[max(1, cut - self._gap) : cut - 1],
            *self._steps[cut + 2 : cut + self._gap],
        ]
        step = self._steps[cut]
        return step >= _OTHER_PICTURE or step >= _STANDS_OUT * max(near, default=0)

    def _is_flash(self, changes: NDArray[np.float64], cut: int) -> bool:
        """Tell whether the colours of before the cut return within the time that is compared."""
        after = changes[cut + self._flash : cut + self._gap]
        return bool(
            len(after) and changes[cut] > _OTHER_COLOURS / 2 and after.min() < changes[cut] / 2
        )


def _shrunk(image: MatLike, side: int = _SIDE) -> MatLike:
    """Shrink a picture to at most `side` pixels; halving first costs a tenth of one large step."""
    while max(image.shape[:2]) >= 2 * side:
        size = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0])))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def _colours(image: MatLike) -> MatLike:
    """Compute the shares of 8 x 16 x 16 colours of the Lab space.

    The few colours beyond half of its range, such as a green screen's, count as the nearest.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2Lab)
    lab[..., 1:] = lab[..., 1:].clip(64, 191)
    counts = cv2.calcHist([lab], [0, 1, 2], None, [8, 16, 16], [0, 256, 64, 192, 64, 192])
    return counts.ravel() / lab[..., 0].size


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the runs of True, each as (first, one after the last)."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False]))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
