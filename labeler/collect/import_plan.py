"""The plan of an import: which clips come from which files, made before anything is written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from labeler.clip import Scenario, frame_name
from labeler.errors import LabelerError
from labeler.layouts.foreign import ForeignClip, ForeignDataset, LeftOut, readable
from labeler.text.naming import check_clip_name

SHOWN = 5
"""How many names a sentence lists."""


@dataclass(frozen=True)
class Wanted:
    """What the user states for an import, because the dataset does not state it.

    `scenario` and `rate` (in frames a second of the dataset's numbering) apply to clips that no
    clips.csv describes. `stride` keeps only the masks of every `stride`-th frame; None derives it
    from the frames that have masks. `prefix` is put before each clip's name.
    """

    scenario: Scenario | None = None
    rate: Fraction | None = None
    stride: int | None = None
    prefix: str = ""


@dataclass(frozen=True)
class PlannedClip:
    """A clip that is to come in.

    Attributes:
        key: its name among the dataset's clips.
        name: its name in the workspace.
        title: its own name in the dataset, in any script.
        found: its files.
        places: the 0-based index in the clip of each picture number.
        step: the distance of the picture numbers.
        split: the list that it is in, "train" or "test"; "" if the dataset does not say it.
    """

    key: str
    name: str
    title: str
    found: ForeignClip
    places: Mapping[int, int]
    step: int
    split: str = ""

    def line(self) -> str:
        """Say in one line what the clip is made of."""
        files = list(self.found.pictures.values())
        where = f"{files[0]}" if len(files) == 1 else f"{files[0]} to {files[-1].name}"
        was = "" if self.title == self.name else f" ({self.title})"
        split = f", list {self.split}" if self.split else ""
        return readable(
            f"{self.name}{was}: {_counted(len(files), 'frame')}, "
            f"{_counted(len(self.found.masks), 'mask')}{split}, from {where}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the same as JSON values, with each file."""
        return {
            "name": self.name,
            "title": self.title,
            "list": self.split,
            "pictures": [str(path) for path in self.found.pictures.values()],
            "masks": [self.places[number] for number in self.found.masks],
        }


@dataclass(frozen=True)
class ImportPlan:
    """Which clips come in, and what of the dataset does not, each with its own reason."""

    folder: Path
    layout: str
    clips: tuple[PlannedClip, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def lost(self) -> tuple[LeftOut, ...]:
        """What is left out because it is damaged or unclear, and not by choice."""
        return tuple(each for each in self.left_out if each.lost)

    def lines(self) -> list[str]:
        """Format the plan for people: its clips, what is left out, and the counts."""
        frames = sum(len(clip.found.pictures) for clip in self.clips)
        masks = sum(len(clip.found.masks) for clip in self.clips)
        return [
            *(clip.line() for clip in self.clips),
            *left_out_lines(self.left_out),
            f"{self.folder} ({self.layout}): {_counted(len(self.clips), 'clip')} with "
            f"{_counted(frames, 'frame')} and {_counted(masks, 'mask')}; left out: "
            f"{len(self.left_out)}, of these {len(self.lost)} damaged or unclear",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values, for scripts."""
        return {
            "folder": str(self.folder),
            "layout": self.layout,
            "clips": [clip.to_json() for clip in self.clips],
            "left_out": [vars(each) for each in self.left_out],
        }


def plan_import(
    dataset: ForeignDataset, names: Sequence[str] | None = None, wanted: Wanted | None = None
) -> ImportPlan:
    """Plan the import of clips of a dataset, from everything that is there; nothing is written.

    Args:
        dataset: see `find_dataset`.
        names: the clips to import, by their names or titles; all of them when None.
        wanted: what the dataset does not state.

    Raises:
        LabelerError: a clip of that name is not in the dataset.
    """
    wanted = wanted or Wanted()
    clips, left_out = [], [] if names else list(dataset.left_out)
    for key in _chosen(dataset, names):
        title = readable(dataset.titles.get(key, key))
        try:
            found = dataset.clips[key]()
            places, step = _places(dataset, key, found)
            name = check_clip_name(wanted.prefix + key)
        except LabelerError as error:
            left_out.append(LeftOut(key, str(error).removesuffix(".")))
            continue
        except OSError as error:
            left_out.append(LeftOut(key, f"{title} cannot be read ({error.strerror})"))
            continue
        if not found.masks:
            reason = "it has no mask; `mvps add` adds videos to label"
            left_out.append(LeftOut(key, reason, lost=False))
            continue
        split = dataset.lists.get(key, "")
        clips.append(PlannedClip(key, name, title, found, places, step, split))
    return ImportPlan(dataset.folder, dataset.layout.value, tuple(clips), tuple(left_out))


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """Say what is left out, one line for each reason."""
    lines = []
    for reason, group in groupby(
        sorted(left_out, key=lambda each: each.reason), key=lambda each: each.reason
    ):
        names = [each.name for each in group]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(readable(f"left out: {', '.join(names[:SHOWN])}{more}: {reason}"))
    return lines


def _chosen(dataset: ForeignDataset, names: Sequence[str] | None) -> list[str]:
    if not names:
        return sorted(dataset.clips)
    times = Counter(dataset.titles.values())
    titles = {title: key for key, title in dataset.titles.items() if times[title] == 1}
    keys = titles | {key: key for key in dataset.clips}
    for name in names:
        if name not in keys:
            known = ", ".join(sorted(dataset.clips)[:10]) or "none"
            raise LabelerError(f"There is no clip {name!r} in {dataset.folder}; known: {known}.")
    return sorted({keys[name] for name in names})


def _places(dataset: ForeignDataset, name: str, found: ForeignClip) -> tuple[dict[int, int], int]:
    """Return the 0-based place in the clip of each picture number, and the step between numbers.

    Raises:
        LabelerError: a picture is missing, a mask has no picture, or clips.csv has other counts.
    """
    numbers = list(found.pictures)
    if not numbers:
        raise LabelerError(f"{name} has no pictures; bring them back from a copy.")
    folder = found.pictures[numbers[0]].parent
    step = min((b - a for a, b in pairwise(numbers)), default=1)
    for before, after in pairwise(numbers):
        if after - before != step:
            raise LabelerError(
                f"{folder} has a picture {frame_name(before)} and then {frame_name(after)}, but no "
                f"{frame_name(before + step)}; bring back what is missing."
            )
    if lone := [number for number in found.masks if number not in found.pictures]:
        raise LabelerError(
            f"{name} has a mask of frame {frame_name(lone[0])} ({len(lone)} such in all), but "
            f"{folder} has no picture of it; bring it back, or move the mask elsewhere."
        )
    row = dataset.rows.get(name)
    if row and (row.frames, row.annotated) != (len(numbers), len(found.masks)):
        raise LabelerError(
            f"clips.csv says that {name} has {row.frames} pictures and {row.annotated} masks, but "
            f"{len(numbers)} and {len(found.masks)} are there; bring back what is missing, or "
            "correct clips.csv."
        )
    return {number: place for place, number in enumerate(numbers)}, step


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
