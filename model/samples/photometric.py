"""Change colours as light and cameras do: exposure, contrast, gamma, cast, noise, blur, JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.clip import Image

REACH = np.array([0.3, 0.2, 0.4, 0.12, 0.12, 0.12, 0.5])
"""The largest magnitude of each number of a Light."""


@dataclass(frozen=True)
class Light:
    """A change of colours in seven numbers; where all are 0, nothing changes.

    In this order: contrast (logarithm of a factor), brightness (of a range of 1), gamma
    (logarithm), the cast of blue, green and red (logarithms), saturation (logarithm).
    """

    numbers: NDArray[np.float64]

    @staticmethod
    def drawn(rng: np.random.Generator, amount: float) -> "Light":
        """Draw a change of colours, of any strength up to an amount; 1 is strong."""
        return Light(amount * rng.uniform(0, 1) * rng.uniform(-1, 1, len(REACH)) * REACH)

    def __add__(self, other: "Light") -> "Light":
        return Light(self.numbers + other.numbers)

    def on(self, image: Image) -> Image:
        """Change the colours of an image, H x W x 3."""
        contrast, brightness, gamma, *cast, saturation = self.numbers
        levels = np.linspace(0, 1, 256)[:, None] ** np.exp(gamma)
        levels = (levels - 0.5) * np.exp(contrast + np.array(cast)) + 0.5 + brightness
        table = np.rint(levels.clip(0, 1) * 255).astype(np.uint8)
        changed = cv2.LUT(image, table[None])
        share = float(np.exp(saturation))
        grey = np.tile([0.114, 0.587, 0.299], (3, 1))
        return np.asarray(cv2.transform(changed, share * np.eye(3) + (1 - share) * grey), np.uint8)


def degrade(rng: np.random.Generator, image: Image, amount: float) -> Image:
    """Degrade an image as a poor camera does: blur, noise and compression, each at random.

    Args:
        rng: the random generator.
        image: H x W x 3; it is not changed in place.
        amount: 1 is poor; 0 leaves the image alone.
    """
    blurred, noisy, compressed = rng.uniform(0, 1, 3) < np.array([0.2, 0.25, 0.35]) * amount
    if blurred:
        width = rng.uniform(0.3, 1.6) * image.shape[0] / 256
        if rng.uniform() < 0.5:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), width), np.uint8)
        else:
            image = np.asarray(cv2.filter2D(image, -1, _streak(rng, 3 * width)), np.uint8)
    if noisy:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1, 12))
        image = np.rint(image + noise).clip(0, 255).astype(np.uint8)
    if compressed:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        packed = cv2.imencode(".jpg", image, quality)[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return image


def _streak(rng: np.random.Generator, length: float) -> NDArray[np.float32]:
    """Make the blur kernel of a camera that moved by `length` pixels in a random direction."""
    radius = int(np.ceil(length / 2)) + 1
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    along = x * np.cos(angle) + y * np.sin(angle)
    aside = np.hypot(x, y) ** 2 - along**2
    weight = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.sqrt(aside), 0, 1)
    return np.asarray(weight / weight.sum(), np.float32)
