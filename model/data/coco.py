"""A reader of MSCOCO (Lin et al. 2014): pictures of people, by the rule of the PDNet paper."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labeler.errors import LabelerError
from labeler.layouts.coco.instances import read_instances
from labeler.layouts.coco.regions import decode_runs, module
from model.data.sources import People, Still, faults_of, picture_fault, refuse_faults

LEAST_PIXELS = 5000
"""The fewest pixels of people in a picture that is taken (PDNet paper, section 5.2)."""


@dataclass(frozen=True)
class CocoRegions:
    """The people of a picture: the region of each in COCO's compressed run lengths.

    `counts` are the bytes of one region each; `size` is (height, width).
    """

    size: tuple[int, int]
    counts: tuple[bytes, ...]

    def read(self) -> People:
        """Decode the regions; where two overlap, the smaller one is in front."""
        people = np.zeros(self.size[0] * self.size[1], np.uint8)
        regions = [decode_runs(counts) for counts in self.counts]
        for number in np.argsort([-runs[1::2].sum() for runs in regions], kind="stable"):
            runs = regions[number]
            inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
            people[: len(inside)][inside] = min(int(number) + 1, 255)
        return np.ascontiguousarray(people.reshape(self.size, order="F"))


def stills_from_coco(
    images: Path, annotations: Path, least_pixels: int = LEAST_PIXELS
) -> tuple[Still, ...]:
    """List the pictures of MSCOCO that have at least `least_pixels` pixels of people.

    The paper takes "images including persons of which the pixel number is no less than 5000" and
    gets 49,479, out of 64,115 pictures of train2017 with a person. The rule cannot mean that
    every single person has 5,000 pixels: most pictures have a small passer-by, so fewer would be
    left. We read it so: all people of a picture together have 5,000 pixels, overlaps counted once.
    The labels have every person by itself, the small ones too. Pictures with a crowd region are
    left out: the people in a crowd are not outlined, so it is neither one person nor background.
    So are pictures with a person that has no outline, or only a point or a line.

    Args:
        images: the folder of pictures, such as `train2017`.
        annotations: a file such as `instances_train2017.json`, with polygons or run lengths.
        least_pixels: the fewest pixels of people in a picture.

    Raises:
        LabelerError: pycocotools is not installed, the annotations are not COCO instances or have
            no person, or pictures are missing or of another size.
    """
    regions, faults = _regions(annotations)
    stills, checks = [], []
    for file_name, people in regions.items():
        if _pixels(people) < least_pixels:
            continue
        if not _is_inside(file_name):
            faults.append(f"{file_name} leads out of {images}")
            continue
        image = images / file_name
        stills.append(Still(image.stem, image, people))
        checks.append(partial(picture_fault, image, (people.size[1], people.size[0])))
    refuse_faults(images, [*faults, *faults_of(checks)])
    if not stills:
        raise LabelerError(
            f"{annotations} has no picture with {least_pixels} pixels of people in it; give the "
            "instances, such as instances_train2017.json."
        )
    return tuple(sorted(stills, key=lambda still: still.name))


def _regions(annotations: Path) -> tuple[dict[str, CocoRegions], list[str]]:
    """Read the people of each picture that has people and no crowd, by the picture's file name.

    Returns them, and a text for each picture that cannot be used.
    """
    read = read_instances(annotations, ["person"])
    found: dict[str, CocoRegions] = {}
    faults = [f"{each.name}: {each.reason}" for each in read.left_out]
    for listed in read.pictures:
        if not listed.people or listed.crowded:
            continue
        if listed.file_name in found:
            faults.append(f"{annotations} lists {listed.file_name} twice")
        try:
            regions = listed.regions()
        except LabelerError as error:
            faults.append(str(error).removesuffix("."))
            continue
        if listed.missing or None in regions:
            continue
        counts = tuple(each for each in regions if each is not None)
        found[listed.file_name] = CocoRegions(listed.size, counts)
    return found, faults


def _is_inside(name: str) -> bool:
    """Tell whether a name of a file does not lead out of the folder that it is in."""
    return not name.startswith("/") and ".." not in Path(name).parts


def _pixels(people: CocoRegions) -> int:
    coco = module("mask")
    regions: list[Any] = [{"size": list(people.size), "counts": each} for each in people.counts]
    return int(coco.area(coco.merge(regions)))
