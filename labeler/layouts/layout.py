"""The layouts that are imported and exported, and what is assumed where they say nothing."""

from enum import StrEnum
from fractions import Fraction
from pathlib import Path


class Layout(StrEnum):
    """How a dataset's files lie.

    MVPS and DAVIS::

        JPEGImages/{Full-Resolution,480p}/<clip>/00000.jpg
        Annotations/{Full-Resolution,480p}/<clip>/00000.png

    YouTube-VOS, whose `meta.json` says what each object of a mask is::

        {train,valid}/JPEGImages/<clip>/00000.jpg
        {train,valid}/Annotations/<clip>/00000.png
        {train,valid}/meta.json

    COCO, whose annotations are polygons or run lengths::

        annotations/instances_train.json
        images/<file_name>

    The tools of DAVIS, and those that train on YouTube-VOS, expect a mask for every picture. So
    these trees hold only pictures that have a mask. All pictures of a clip that is masked in part
    are in `JPEGImages_all_frames` (a name of ours), or in `train_all_frames/JPEGImages` (the name
    that YouTube-VOS uses). In COCO, the JSON does not list pictures without a mask.

    Read only are pictures that are masked one by one: in two folders (`pairs`, such as `images` and
    `masks`), in a project of Supervisely, or in a JSON of Label Studio.
    """

    MVPS = "mvps"
    DAVIS = "davis"
    YOUTUBE_VOS = "youtube-vos"
    COCO = "coco"
    PAIRS = "pairs"
    SUPERVISELY = "supervisely"
    LABEL_STUDIO = "label-studio"


WRITTEN = (Layout.MVPS, Layout.DAVIS, Layout.YOUTUBE_VOS, Layout.COCO)
"""The layouts that are written; the others are read only."""


RATES = {
    Layout.DAVIS: Fraction(24),
    Layout.YOUTUBE_VOS: Fraction(30),
    Layout.COCO: Fraction(30),
    Layout.PAIRS: Fraction(30),
    Layout.SUPERVISELY: Fraction(30),
    Layout.LABEL_STUDIO: Fraction(30),
}
"""Frames a second if none are given: DAVIS was filmed at 24 (Perazzi et al. 2016, section 3.1),
YouTube-VOS numbers its frames at 30 (Xu et al. 2018, section 3); COCO's pictures have no rate."""


def davis_whole_clips(dataset: Path, resolution: str) -> Path:
    """Return the folder with all pictures of the DAVIS clips that are masked only in part."""
    return dataset / "JPEGImages_all_frames" / resolution


def youtube_whole_clips(split: Path) -> Path:
    """Return the folder with all pictures of a split's clips that are masked only in part."""
    return split.with_name(f"{split.name}_all_frames") / "JPEGImages"
