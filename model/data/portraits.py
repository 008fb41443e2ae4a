"""Readers of two public sets of portraits, EG1800 and Supervisely Person, as they are published."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labeler.errors import LabelerError
from labeler.layouts.frame_files import PICTURES
from labeler.layouts.others.supervisely import (
    annotation_of,
    draw_objects,
    read_annotation,
    size_of,
)
from labeler.threads import call_all
from model.data.folders import stills_from
from model.data.sources import People, Still, picture_fault, refuse_faults


def stills_from_eg1800(folder: Path, split: str = "train") -> tuple[Still, ...]:
    """List a split of EG1800 (Shen et al. 2016) as PortraitNet's authors distribute it.

    The folder holds `Images` and `Labels` with `00001.png`, ..., and `eg1800_train.txt`, one
    name a line. There are usually more labels than pictures. Every picture shows one person, so
    a mask that is empty or covers all is wrong; the few pictures with one are left out.

    Raises:
        LabelerError: the list is missing, a pair that it names is missing, or a pair does not fit.
    """
    listed = folder / f"eg1800_{split}.txt"
    if not listed.is_file():
        raise LabelerError(f"{listed} is missing; put back the list of EG1800's pictures.")
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines()
    stills = stills_from(folder, [Path(line.strip()).stem for line in lines if line.strip()])
    sound = call_all(partial(_has_two_sides, still) for still in stills)
    return tuple(still for still, kept in zip(stills, sound, strict=True) if kept)


@dataclass(frozen=True)
class SuperviselyObjects:
    """The people of a picture in Supervisely's JSON: bitmaps and polygons, each one person.

    Objects of the class "neutral" are no people. A later object is in front of an earlier one.
    """

    path: Path

    def read(self) -> People:
        """Draw the objects.

        Raises:
            LabelerError: the file is missing or is no such annotation.
        """
        annotation = read_annotation(self.path)
        try:
            return draw_objects(annotation, lambda kind: kind != "neutral")
        except ValueError as error:
            raise LabelerError(
                f"{self.path} has an object that cannot be drawn: {error}; leave it out."
            ) from None


def stills_from_supervisely(folder: Path, unmarked: bool = True) -> tuple[Still, ...]:
    """List the pictures of Supervisely Person, a folder of `ds1`, `ds2`, ... with `img` and `ann`.

    The annotation of `ds1/img/a.png` is `ds1/ann/a.png.json`, or `a.json` in older exports.

    Args:
        folder: the folder that holds `ds1`, ...
        unmarked: whether to take pictures tagged `not-marked-people`, too, in which some people
            are not labelled. The PDNet paper takes them: it has all 5,711 pictures.

    Raises:
        LabelerError: there are no pictures, or annotations are missing, damaged or of another
            size.
    """
    paths = sorted(p for p in folder.glob("ds*/img/*") if p.suffix.lower() in PICTURES)
    if not paths:
        raise LabelerError(
            f"{folder} holds no pictures in ds1/img, ds2/img, ...; give the folder that holds ds1."
        )
    annotations = {path: annotation_of(path) for path in paths}
    spare = sorted({*folder.glob("ds*/ann/*.json")} - {*annotations.values()})
    faults = [f"{annotation} has no picture" for annotation in spare]
    stills = []
    checks = (partial(_checked, *pair) for pair in annotations.items())
    for (image, annotation), checked in zip(annotations.items(), call_all(checks), strict=True):
        if isinstance(checked, str):
            faults.append(checked)
        elif unmarked or "not-marked-people" not in checked:
            name = f"{image.parent.parent.name}/{image.stem}"
            stills.append(Still(name, image, SuperviselyObjects(annotation)))
    refuse_faults(folder, faults)
    return tuple(stills)


def _checked(image: Path, annotation: Path) -> frozenset[str] | str:
    """Return the tags of an annotation, or a text that says what is wrong with it."""
    try:
        content = read_annotation(annotation)
        tags = content.get("tags", [])
        size = size_of(content)
    except LabelerError as error:
        return str(error).removesuffix(".")
    except (KeyError, TypeError, ValueError) as error:
        return f"{annotation} cannot be used: {error}"
    fault = picture_fault(image, size)
    # Tags were plain names in older exports.
    return fault or frozenset(tag if isinstance(tag, str) else str(tag["name"]) for tag in tags)


def _has_two_sides(still: Still) -> bool:
    people = still.read()[1]
    return bool(people.any() and not people.all())
