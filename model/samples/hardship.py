"""Poor video as augmentation: grey, dark, noisy, blurred or strongly compressed samples.

A clip is grey or dark as a whole; noise, blur and compression differ from view to view.
"""

from collections.abc import Callable

import cv2
import numpy as np

from labeler.clip import Image
from model.samples.sample_recipe import SampleRecipe


def hardship(rng: np.random.Generator, recipe: SampleRecipe) -> Callable[[Image], Image]:
    """Draw what one sample has to bear, and return what does that to each of its views.

    By a recipe that wants none of it no random number is drawn, and views stay as they are.

    Args:
        rng: where chance comes from; it is drawn from for each view, too.
        recipe: with the shares `grey` and `dark` of samples, and `rough` of views.
    """
    if not (recipe.grey or recipe.dark or recipe.rough):
        return lambda image: image
    grey, dark = rng.uniform(size=2) < (recipe.grey, recipe.dark)
    light = float(np.exp(rng.uniform(np.log(0.12), np.log(0.6))))
    gamma = float(rng.uniform(1.0, 1.6))

    def on(image: Image) -> Image:
        if grey:
            image = without_colour(image)
        if dark:
            image = in_the_dark(rng, image, light, gamma)
        return battered(rng, image) if rng.uniform() < recipe.rough else image

    return on


def without_colour(image: Image) -> Image:
    """Take the colours from an image, H x W x 3 uint8 BGR; it keeps its three channels."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def in_the_dark(rng: np.random.Generator, image: Image, light: float, gamma: float) -> Image:
    """Take an image as in little light: darker, and with a sensor's noise.

    Args:
        rng: where the noise comes from.
        image: H x W x 3 uint8 BGR.
        light: what is left of the brightness, 0 to 1.
        gamma: 1 and more: how far shadows sink deeper than lights.
    """
    levels = light * (np.arange(256) / 255) ** gamma * 255
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, 4))
    dark = levels.astype(np.float32)[image] + noise
    return np.rint(dark).clip(0, 255).astype(np.uint8)


def battered(rng: np.random.Generator, image: Image) -> Image:
    """Spoil an image, H x W x 3 uint8 BGR, in one way: strong noise, blur, or JPEG of 5 to 25."""
    way = rng.integers(3)
    if way == 0:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(12, 36))
        return np.rint(image + noise).clip(0, 255).astype(np.uint8)
    if way == 1:
        width = rng.uniform(1.2, 3.0) * image.shape[0] / 256
        return np.asarray(cv2.GaussianBlur(image, (0, 0), width), np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(5, 25))]
    packed = cv2.imencode(".jpg", image, quality)[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
