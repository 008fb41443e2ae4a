"""The layouts of datasets that come in and go out, and what they leave unsaid."""

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

    The tools of DAVIS, and those that train on YouTube-VOS, take it that every picture has a
    mask. So the clips of which that is not true lie whole beside the pictures that have one: in
    `JPEGImages_all_frames` (our word), and in `train_all_frames/JPEGImages` (YouTube-VOS's own).
    The pictures of a COCO clip that have no mask are just not named in the JSON.
    """

    MVPS = "mvps"
    DAVIS = "davis"
    YOUTUBE_VOS = "youtube-vos"
    COCO = "coco"


RATES = {
    Layout.DAVIS: Fraction(24),
    Layout.YOUTUBE_VOS: Fraction(30),
    Layout.COCO: Fraction(30),
}
"""Frames a second where nobody says: DAVIS was filmed at 24 (Perazzi et al. 2016, section 3.1),
YouTube-VOS numbers its frames at 30 (Xu et al. 2018, section 3); COCO's pictures have no rate."""


def davis_whole_clips(dataset: Path, resolution: str) -> Path:
    """Where every picture is of DAVIS clips that are masked only in part."""
    return dataset / "JPEGImages_all_frames" / resolution


def youtube_whole_clips(split: Path) -> Path:
    """Where every picture is of the YouTube-VOS clips of a split that are masked only in part."""
    return split.with_name(f"{split.name}_all_frames") / "JPEGImages"
