"""The plan of an import: which clips come from which files, made before anything is written."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from labeler.clip import Clip, Scenario, frame_name
from labeler.collect.import_files import already_there, pictures_digest
from labeler.errors import LabelerError
from labeler.layouts.foreign import ForeignClip, ForeignDataset, LeftOut, readable
from labeler.layouts.layout import RATES
from labeler.layouts.mvps import picture_size
from labeler.text.naming import check_clip_name
from labeler.threads import call_all
from labeler.workspace.workspace import Workspace

_RATE = Fraction(30)
"""Frames a second, where neither the dataset nor its layout says it."""

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
        scenario: its scenario; None if neither the dataset nor the user says it.
        rate: its frames a second.
        found: its files.
        places: the 0-based index in the clip of each picture number.
        step: the distance of the picture numbers.
        split: the list that it is in, "train" or "test"; "" if the dataset does not say it.
        sha256: the digest of its pictures, "" if they were not read yet.
        size: width and height of its first picture, in pixels; 0 if it was not read yet.
    """

    key: str
    name: str
    title: str
    scenario: Scenario | None
    rate: Fraction
    found: ForeignClip
    places: Mapping[int, int]
    step: int
    split: str = ""
    sha256: str = ""
    size: tuple[int, int] = (0, 0)

    @property
    def own_name(self) -> str:
        """The clip's `title` in the workspace: its own name without folders, "" if it kept that."""
        own = self.title.rpartition("/")[2]
        return "" if own == self.key else own

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
        pictures = list(self.found.pictures.values())
        return {
            "path": str(pictures[0].parent),
            "reason": "",
            "clip": self.name,
            "title": self.own_name,
            "scenario": self.scenario or "",
            "sha256": self.sha256,
            "known_as": [],
            "width": self.size[0],
            "height": self.size[1],
            "rate": str(self.rate),
            "frames": len(pictures),
            "remarks": [],
            "list": self.split,
            "pictures": [str(path) for path in pictures],
            "masks": [self.places[number] for number in self.found.masks],
        }


@dataclass(frozen=True)
class ImportPlan:
    """Which clips come in, and what of the dataset does not, each with its own reason.

    `known` are the clips that the workspace has already, each with its clip there.
    """

    folder: Path
    layout: str
    clips: tuple[PlannedClip, ...]
    left_out: tuple[LeftOut, ...]
    known: tuple[tuple[PlannedClip, Clip], ...] = ()

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
            *(_already(*each) for each in self.known),
            *left_out_lines(self.left_out),
            f"{self.folder} ({self.layout}): {_counted(len(self.clips), 'clip')} with "
            f"{_counted(frames, 'frame')} and {_counted(masks, 'mask')}; already there: "
            f"{len(self.known)}; left out: "
            f"{len(self.left_out)}, of these {len(self.lost)} damaged or unclear",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values, for scripts, with the keys that `mvps add` has.

        Each clip that comes in or is known also has its `list`, `pictures` and `masks`.
        """
        return {
            "folder": str(self.folder),
            "layout": self.layout,
            "comes_in": [clip.to_json() for clip in self.clips],
            "known": [
                clip.to_json() | {"reason": _already(clip, there), "known_as": [there.name]}
                for clip, there in self.known
            ],
            "left_out": [
                {
                    "path": str(self.folder),
                    "reason": readable(each.reason),
                    "clip": readable(each.name),
                    "title": "",
                    "scenario": "",
                    "sha256": "",
                    "known_as": [],
                    "lost": each.lost,
                }
                for each in self.left_out
            ],
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
        row = dataset.rows.get(key)
        scenario = row.scenario if row else wanted.scenario
        rate = (wanted.rate or RATES.get(dataset.layout, _RATE)) / step
        if row and row.fps:
            rate = row.fps
        clips.append(PlannedClip(key, name, title, scenario, rate, found, places, step, split))
    return ImportPlan(dataset.folder, dataset.layout.value, tuple(clips), tuple(left_out))


def compared(
    workspace: Workspace | None, plan: ImportPlan, progress: Callable[[int], None] | None = None
) -> ImportPlan:
    """Return a plan that also tells which clips the workspace has already; nothing is written.

    Every picture is read once. A clip whose name another one has is left out.

    Args:
        workspace: where the clips shall go; None is an empty one.
        plan: see `plan_import`.
        progress: called with the number of clips compared.
    """
    clips, known, left_out = [], [], list(plan.left_out)
    results = call_all(partial(_compare, workspace, clip) for clip in plan.clips)
    for done, (clip, result) in enumerate(zip(plan.clips, results, strict=True), start=1):
        if isinstance(result, PlannedClip):
            clips.append(result)
        elif isinstance(result, Clip):
            known.append((clip, result))
        else:
            left_out.append(result)
        if progress is not None:
            progress(done)
    return replace(plan, clips=tuple(clips), known=tuple(known), left_out=tuple(left_out))


def _compare(workspace: Workspace | None, planned: PlannedClip) -> PlannedClip | Clip | LeftOut:
    """Return the clip as it comes in, the clip that is there already, or why it is left out."""
    pictures = list(planned.found.pictures.values())
    try:
        digest, size = pictures_digest(pictures), picture_size(pictures[0])
        there = None if workspace is None else already_there(workspace, planned.name, digest)
    except LabelerError as error:
        return LeftOut(planned.key, str(error).removesuffix("."))
    return there or replace(planned, sha256=digest, size=size)


def _already(planned: PlannedClip, there: Clip) -> str:
    return readable(f"{planned.title} is in the workspace already, as {there.shown}.")


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
