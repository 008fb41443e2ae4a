"""Made shots: pictures of two colours with things on them, seen by a camera that moves."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from labeler.clip import Image

SIZE = (160, 90)


def shot(seed: int, count: int, speed: int = 2, size: tuple[int, int] = SIZE) -> list[Image]:
    """`count` pictures of one scene, `speed` pixels a picture apart; 0 stands still."""
    random = np.random.default_rng(seed)
    width, height = size
    scene = np.empty((height, 3 * width, 3), np.uint8)
    scene[:] = random.integers(30, 226, 3)
    scene[height * 2 // 3 :] = random.integers(30, 226, 3)
    for _ in range(12):
        x, y = random.integers(0, 3 * width), random.integers(0, height)
        colour = tuple(int(c) for c in random.integers(0, 256, 3))
        cv2.circle(scene, (int(x), int(y)), int(random.integers(4, height // 5)), colour, -1)
    scene = np.concatenate([scene, scene], axis=1)
    starts = [speed * n % (3 * width) for n in range(count)]
    grain = [random.integers(0, 6, (height, width, 3), dtype=np.uint8) for _ in starts]
    return [cv2.add(scene[:, x : x + width], noise) for x, noise in zip(starts, grain, strict=True)]


def dissolve(one: Sequence[Image], other: Sequence[Image], length: int) -> list[Image]:
    """Both after each other, the last pictures of `one` fading into the first of `other`."""
    mixed = [
        cv2.addWeighted(a, 1 - (n + 0.5) / length, b, (n + 0.5) / length, 0)
        for n, (a, b) in enumerate(zip(one[-length:], other[:length], strict=True))
    ]
    return [*one[:-length], *mixed, *other[length:]]


def write_pictures(path: Path, pictures: Sequence[Image], rate: Fraction | int = 30) -> Path:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = pictures[0].shape[:2]
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
