"""A clip of a person for those who have none at hand: a photograph, panned and zoomed."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage.data import astronaut

from labeler.clip import Image

RATE = Fraction(30)
FRAME_COUNT = 192
"""6.4 s; MVPS asks for at least 6 s (PDNet paper, section 3.1)."""
WIDTH, HEIGHT = 1280, 720
"""MVPS asks for at least 720 pixels on the short side (PDNet paper, section 3.1)."""


def write_demo_video(path: Path) -> None:
    """Write a video of scikit-image's bundled photograph of a person, panned and zoomed."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in _pan_and_zoom():
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _pan_and_zoom() -> Iterator[Image]:
    photograph = np.ascontiguousarray(astronaut()[:, :, ::-1])
    side = photograph.shape[0]
    for index in range(FRAME_COUNT):
        phase = 2 * np.pi * index / FRAME_COUNT
        width = side * (0.88 - 0.12 * np.cos(phase))  # of the part that is shown, in pixels
        height = width * HEIGHT / WIDTH
        left = (side - width) * (0.5 + 0.5 * np.sin(phase))
        top = (side - height) * (0.18 - 0.18 * np.cos(phase))
        scale = WIDTH / width
        move = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        yield np.asarray(cv2.warpAffine(photograph, move, (WIDTH, HEIGHT)), np.uint8)
