"""Reads the masks of panoptic COCO: a PNG for each picture, whose colours are its segments."""

import os
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from labeler.errors import LabelerError
from labeler.images.opening import opened
from labeler.images.palette import rgb_values
from labeler.layouts.coco.instances import Listed
from labeler.layouts.foreign import ForeignMask


def read_segments(listed: Listed, json: Path) -> ForeignMask:
    """Read the mask of a picture's people from its PNG.

    The PNG is in the folder that is named like the JSON, beside it or one level up.

    Raises:
        LabelerError: the PNG is missing, damaged, of another size or out of the dataset's folder.
    """
    name = Path(listed.panoptic).name  # never a path out of the folder
    places = [json.parent / json.stem / name, json.parent.parent / json.stem / name]
    path = next((each for each in places if os.path.isfile(each)), places[0])
    with opened(path, "PNG of segments", "bring it back from a copy") as picture:
        if picture.size != listed.size[::-1]:
            raise LabelerError(
                f"{path} is {picture.width}x{picture.height}, but {json.name} says "
                f"{listed.size[1]}x{listed.size[0]}; bring back the right file."
            )
        # The colour is the number turned round: red + 256 green + 65536 blue; 0 is not labelled.
        numbers = rgb_values(Pillow.merge("RGB", picture.convert("RGB").split()[::-1]))
    people = [each.get("id") for each in listed.people]
    there = set(np.unique(numbers).tolist()) - {0}
    mask = np.isin(numbers, [each for each in people if isinstance(each, int) and each in there])
    absent = [each for each in people if not isinstance(each, int) or each not in there]
    missing = f"segment {absent[0]} of {json.name}" if absent else ""
    if listed.crowded:
        missing = "an outline of each person in a crowd"
    void = bool((numbers == 0).any())
    return ForeignMask(np.asarray(mask), void=void, missing=listed.missing or missing)
