"""Draw one picture to judge an engine by: frames of videos, or pictures, with masks and parts.

    python scripts/contact_sheet.py VIDEO_OR_PICTURE... [--model M] [--frames N] [-o FILE]

The first row of each input shows the masks, predicted without a given mask. The second row shows
the parts that PDNet decouples (PDNet paper, figure 8), each in its colour; the less likely a pixel
is portrait, the fainter the colour.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from labeler.clip import Image, read_image
from labeler.collect.video import sample_frames
from labeler.files import write_atomically
from labeler.inspect.preview import overlay
from labeler.reference import ReferenceBook
from model.card import part_folders, read_card
from model.engine import bundled_weights
from model.engines.pdnet.features import unguided
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import CONFIGURATIONS
from model.loading import default_model, load_segmenter
from model.nn.pictures import to_input
from model.weights import load_model

PICTURES = {".jpg", ".jpeg", ".png"}
HEIGHT = 180
COLOURS = ((66, 106, 239), (60, 180, 75), (230, 160, 30), (200, 70, 190), (40, 210, 230))
"""Blue-green-red, one a part."""


@dataclass(frozen=True)
class Chosen:
    """A few frames as a clip of their own."""

    key: str
    images: Sequence[Image]

    @property
    def key_frames(self) -> range:
        """All frames: they are far apart in their video."""
        return range(len(self.images))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Image:
        return self.images[index]


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, default=bundled_weights()[default_model()])
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/contact-sheet.jpg"))
    arguments = parser.parse_args()
    segmenter, _ = load_segmenter(str(arguments.model), device="cpu")
    decoupler = Decoupler(arguments.model)
    rows = []
    for path in arguments.inputs:
        clip = Chosen(str(path), evenly(path, arguments.frames))
        answers = segmenter.segment(clip, range(len(clip)), ReferenceBook())
        pairs = zip(clip.images, answers, strict=True)
        rows.append([overlay(image, answer.mask) for image, answer in pairs])
        rows.append([painted(image, decoupler.parts(image)) for image in clip.images])
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    sheet = cv2.imencode(".jpg", stacked(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    write_atomically(arguments.out, sheet.tobytes())
    print(arguments.out)


def evenly(path: Path, count: int) -> list[Image]:
    """A picture, or frames of a video from the first to the last."""
    if path.suffix.lower() in PICTURES:
        return [read_image(path)]
    total = sum(1 for _ in sample_frames(path))
    wanted = {round(i) for i in np.linspace(0, total - 1, count)}
    return [frame.image for n, frame in enumerate(sample_frames(path)) if n in wanted]


class Decoupler:
    """PDNet, by itself or out of a pair, to be asked for its parts only."""

    def __init__(self, folder: Path) -> None:
        folders = part_folders(folder) if read_card(folder).parts else [folder]
        card, tensors = load_model(folders[0])
        self.network = PDNet(CONFIGURATIONS[card.configuration]).eval()
        self.network.load_state_dict(tensors)
        self.side = card.input_size

    @torch.inference_mode()
    def parts(self, image: Image) -> NDArray[np.float32]:
        """Return the mask of each part, p x h x w; their sum is the saliency."""
        squashed = cv2.resize(image, (self.side, self.side), interpolation=cv2.INTER_AREA)
        features = self.network.encode(to_input(torch.from_numpy(squashed)[None]))
        output = self.network.decode(features, unguided(features))
        return np.asarray(output.part_masks[0].numpy(), np.float32)


def painted(image: Image, parts: NDArray[np.float32]) -> Image:
    """Paint parts over a picture made grey and dark."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) * 0.45
    for part, colour in zip(parts, COLOURS, strict=False):
        share = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        grey = grey + share * (np.array(colour) - grey) * 0.8
    return np.asarray(grey.clip(0, 255), np.uint8)


def stacked(rows: Sequence[Sequence[Image]]) -> Image:
    """Put rows of pictures under each other, all of one height, on a dark ground."""
    drawn = [
        np.hstack([cv2.resize(i, (round(i.shape[1] * HEIGHT / i.shape[0]), HEIGHT)) for i in row])
        for row in rows
    ]
    width = max(row.shape[1] for row in drawn)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in drawn]
    return np.asarray(np.vstack(padded), np.uint8)


if __name__ == "__main__":
    main()
