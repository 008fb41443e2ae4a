"""Sharpen a network's masks by the colours of people and of their surroundings.

A network predicts on cells of several pixels. Colours tell well which of these pixels are a person.
They are counted in the frame, where the network is sure, and in the references that a person
masked. Each pixel's odds are multiplied by how much more often its colour is seen in people than
around them (as in GrabCut: Rother et al. 2004, with histograms in place of mixtures). Then
neighbours of similar colours are made to agree (mean field, Krähenbühl and Koltun 2011, with the
guided filter of He et al. 2010 in place of theirs).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from labeler.clip import Frames, Image
from labeler.mask import Mask
from labeler.reference import Reference, ReferenceBook
from model.drivers.cache import LastUsed
from model.drivers.probability import logits_of, sigmoid
from model.segmenter import (
    THRESHOLD,
    Probability,
    Segmentation,
    Segmenter,
    clip_and_book,
    uncertainty_of,
)
from model.window import close_up_of

BINS = 48
"""Histogram bins along each axis of CIE L*a*b*, without the outer quarters of a* and b*."""

RARE = 1e-6
"""Added to the frequency of each colour, so that a colour never seen counts little."""

MOST = 3.0
"""The largest magnitude of a colour's log ratio."""

LEAST = 1e-2
"""The network's probabilities are clipped to [LEAST, 1 - LEAST]: it may have missed an arm."""

OWN_WEIGHT, REFERENCE_WEIGHT = 1.3, 2.5
"""The weights of colours beside the network: without, and with, masks that a person made."""

REFERENCE_SHARE = 30.0
"""How much more the colours of references count than those of the frame itself."""

ROUNDS = 2
"""How often colours are counted, each time by the probabilities of the last round."""

AGREEMENT, AGREEMENT_ROUNDS = 4.0, 3
"""The weight of a pixel's neighbours, and the rounds in which they are made to agree."""

RADIUS, EVEN = 4, 1e-3
"""The radius of the guided filter in pixels, and its epsilon: a neighbourhood with a smaller
variance of lightness (0 to 1) counts as even."""

LARGEST = 400
"""The longest side, in pixels, of the crop that is sharpened; a larger close-up is shrunk."""

KEPT = 32

T = TypeVar("T", np.uint8, np.float32)


@dataclass(frozen=True)
class Colours:
    """The share of a picture that has each colour, in people and around them; BINS^3 float32."""

    people: NDArray[np.float32]
    around: NDArray[np.float32]

    @property
    def ratios(self) -> NDArray[np.float32]:
        """The log ratio of each colour's frequency in people and around them, within +-MOST."""
        people, around = (
            gaussian_filter(counted / max(float(counted.sum()), RARE), 1.0)
            for counted in (self.people, self.around)
        )
        ratios = np.log((people + RARE) / (around + RARE))
        return np.asarray(ratios.clip(-MOST, MOST), np.float32)


def colours_of(bins: NDArray[np.int32], probability: NDArray[np.floating]) -> Colours:
    """Count the colours of people and of their surroundings.

    Args:
        bins: the colour of each pixel, see `bins_of`.
        probability: the probability of portrait of each pixel, of the same shape.
    """
    flat = np.asarray(probability, np.float64).ravel() / bins.size
    shape = (BINS, BINS, BINS)
    people, both = (
        np.bincount(bins.ravel(), weights, BINS**3).reshape(shape).astype(np.float32)
        for weights in (flat, np.full(bins.size, 1 / bins.size))
    )
    return Colours(people, (both - people).clip(min=0))


def bins_of(image: Image) -> NDArray[np.int32]:
    """Number each pixel's colour, 0 to BINS^3 - 1; H x W for H x W x 3 uint8 in BGR."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB).astype(np.int32)
    parts = lab * (BINS, 2 * BINS, 2 * BINS) // 256 - (0, BINS // 2, BINS // 2)
    numbers = parts.clip(0, BINS - 1) @ (BINS * BINS, BINS, 1)
    return np.asarray(numbers, np.int32)


def sharpened(
    image: Image, probability: Probability, references: Sequence[Colours] = ()
) -> Probability:
    """Sharpen the probability map of a frame by colours, in the close-up of the people in it.

    Args:
        image: H x W x 3 uint8 in BGR.
        probability: of portrait, H x W in [0, 1]; outside the close-up it is kept.
        references: colours of frames that a person masked, counted in the close-up of each.

    Returns:
        The probability, H x W float32.
    """
    window = close_up_of(probability >= THRESHOLD)
    if window is None:
        return probability
    whole = probability[window.pixels]
    near, said = _smaller(image[window.pixels]), _smaller(whole)
    bins, weight = bins_of(near), REFERENCE_WEIGHT if references else OWN_WEIGHT
    grey = np.asarray(cv2.cvtColor(near, cv2.COLOR_BGR2GRAY) / 255, np.float32)
    network = logits_of(said, LEAST)
    for _ in range(ROUNDS):
        ratios = _together(colours_of(bins, said), references).ratios.ravel()[bins]
        both = np.asarray(network + weight * cv2.GaussianBlur(ratios, (0, 0), 1.0), np.float32)
        said = sigmoid(both)
        for _ in range(AGREEMENT_ROUNDS):
            said = sigmoid(both + AGREEMENT * (2 * _smoothed(said, grey) - 1))
    found = probability.copy()
    found[window.pixels] = cv2.resize(said, whole.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return found


class ColourSegmenter:
    """An engine whose masks are sharpened by colours.

    Args:
        engine: the engine whose masks are sharpened; its version becomes that of both.
    """

    def __init__(self, engine: Segmenter) -> None:
        self.engine = engine
        self.model_version, self.choice = engine.model_version, engine.choice
        self._kept: LastUsed[Colours] = LastUsed(KEPT)

    def segment(
        self,
        frames: Frames | Sequence[Image],
        targets: Sequence[int],
        references: ReferenceBook | Mapping[int, Mask],
    ) -> Iterator[Segmentation]:
        """Yield one segmentation for each target frame; see `Segmenter.segment`."""
        frames, book = clip_and_book(frames, references)
        book = book.chosen_by(self.choice)
        for found in self.engine.segment(frames, targets, book):
            if book.corrected(found.frame) is not None:
                yield found
                continue
            told = found.seeds or book.references_for(found.frame)
            known = [self._colours(frames, each) for each in told if each.load is not None]
            probability = sharpened(frames[found.frame], found.probability, known)
            # Colours make every pixel look sure, so the network's own probabilities count, too.
            both = np.asarray((found.probability + probability) / 2, np.float32)
            doubt = uncertainty_of(both, probability >= THRESHOLD)
            yield replace(found, probability=probability, uncertainty=doubt)

    def _colours(self, frames: Frames, reference: Reference) -> Colours:
        key = (frames.key, reference.frame, reference.digest)
        return self._kept.or_make(
            key, lambda: _colours_of_reference(frames[reference.frame], reference)
        )


def _colours_of_reference(image: Image, reference: Reference) -> Colours:
    mask = reference.mask
    assert mask is not None
    window = close_up_of(mask)
    if window is not None:
        image, mask = image[window.pixels], mask[window.pixels]
    return colours_of(bins_of(_smaller(image)), _smaller(mask.astype(np.float32)))


def _together(own: Colours, references: Sequence[Colours]) -> Colours:
    share = REFERENCE_SHARE / max(len(references), 1)
    people = own.people + share * sum((each.people for each in references), np.float32(0))
    around = own.around + share * sum((each.around for each in references), np.float32(0))
    return Colours(people, around)


def _smoothed(probability: Probability, grey: NDArray[np.float32]) -> Probability:
    """Smooth a probability map, but not across edges of lightness (guided filter, eq 5, 6, 8)."""

    def mean(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.boxFilter(x, -1, (2 * RADIUS + 1, 2 * RADIUS + 1)), np.float32)

    grey_mean, mean_probability = mean(grey), mean(probability)
    covariance = mean(grey * probability) - grey_mean * mean_probability
    slope = covariance / (mean(grey * grey) - grey_mean**2 + EVEN)
    smoothed = mean(slope) * grey + mean(mean_probability - slope * grey_mean)
    return np.asarray(smoothed, np.float32)


def _smaller(picture: NDArray[T]) -> NDArray[T]:
    """Shrink a picture so that no side is longer than LARGEST."""
    longest = max(picture.shape[:2])
    if longest <= LARGEST:
        return picture
    width, height = (max(1, round(n * LARGEST / longest)) for n in picture.shape[1::-1])
    smaller = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller, picture.dtype)
