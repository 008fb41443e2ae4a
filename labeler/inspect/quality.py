"""Finds masks that are worth a second look, alone and compared with the masks before and after.

A finding is a reason to look, not a verdict: people do step out of a frame. Nothing is changed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from labeler.clip import KEY_FRAME_STRIDE, frame_name
from labeler.inspect.finding import Finding, FindingKind
from labeler.inspect.observe import (
    MaskFile,
    Observation,
    comparable,
    flicker,
    jumps,
    nearly_alike,
    observe,
)
from labeler.inspect.packed_mask import PackedMask
from labeler.layouts.mvps import Dataset, picture_tree
from labeler.threads import call_all


@dataclass(frozen=True)
class MaskedClip:
    """The masks of a clip, in order of frames."""

    name: str
    masks: Sequence[MaskFile]


def masks_of(dataset: Dataset) -> list[MaskedClip]:
    """List the masks of every clip of a dataset, at its largest resolution."""
    resolution = dataset.resolutions[0]
    clips = []
    for row in dataset.clips:
        pictures = dataset.pictures(row.name)
        missing = picture_tree(dataset.folder, resolution) / row.name
        files = [
            MaskFile(
                frame,
                path,
                pictures.get(frame, missing / f"{dataset.frame_name(row.name, frame)}.jpg"),
                partial(dataset.mask, row.name, frame),
            )
            for frame, path in dataset.masks(row.name).items()
        ]
        clips.append(MaskedClip(row.name, files))
    return clips


def find_suspicious(
    clips: Sequence[MaskedClip], progress: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """Look at every mask of some clips, alone and compared with its neighbours.

    Args:
        clips: the clips; each has a name of its own.
        progress: called with (masks looked at, masks).

    Returns:
        The findings, clip by clip in the given order, and by frame within a clip.
    """
    total = sum(len(clip.masks) for clip in clips)

    def counted(looks: Iterable[Observation]) -> Iterator[Observation]:
        for done, look in enumerate(looks, start=1):
            if progress is not None:
                progress(done, total)
            yield look

    looks = counted(call_all(partial(observe, c.name, file) for c in clips for file in c.masks))
    findings: list[Finding] = []
    for _, of_clip in groupby(looks, key=lambda look: look.clip):
        findings += sorted(_findings(of_clip), key=lambda finding: finding.frame)
    return findings


def count_rules(findings: Iterable[Finding]) -> dict[FindingKind, int]:
    """Count the findings of each rule, in the rules' order, without rules that have none."""
    counts = Counter(finding.rule for finding in findings)
    return {rule: counts[rule] for rule in FindingKind if rule in counts}


class _Row:
    """Consecutive masks with the same finding, which is reported once for all of them."""

    def __init__(self, rule: FindingKind, least: int, message: str) -> None:
        self.rule, self.least, self.message = rule, least, message
        self.first: Observation | None = None
        self.last: Observation | None = None
        self.count = 0

    def add(self, look: Observation) -> None:
        self.first, self.last, self.count = self.first or look, look, self.count + 1

    def end(self) -> Iterator[Finding]:
        """Yield the finding if the row was long enough, and begin another row."""
        if self.first is not None and self.last is not None and self.count >= self.least:
            message = f"{self.message}."
            if self.count > 1:
                first, last = frame_name(self.first.file.frame), frame_name(self.last.file.frame)
                message = f"{self.message} in {self.count} key frames, {first} to {last}."
            yield self.first.finding(self.rule, message)
        self.first, self.last, self.count = None, None, 0


def _findings(looks: Iterable[Observation]) -> Iterator[Finding]:
    """Yield the findings of one clip's masks, alone and compared with each other."""
    empty = _Row(FindingKind.EMPTY, 1, "Nobody is masked")
    still = _Row(FindingKind.STILL, 2, "The picture hardly changes")
    flickered = False
    for before, look, after in _beside(looks):
        yield from look.found
        if look.empty:
            empty.add(look)
        else:
            yield from empty.end()
        if still.last is None or look.file.frame - still.last.file.frame >= KEY_FRAME_STRIDE:
            if still.last is not None and not nearly_alike(still.last, look):
                yield from still.end()
            still.add(look)
        flickers = flicker(before, look.mask, after)
        if flickers:
            yield look.finding(FindingKind.FLICKER, flickers)
        elif not flickered:
            for rule, message in jumps(before, look.mask):
                yield look.finding(rule, message)
        flickered = bool(flickers)
    yield from empty.end()
    yield from still.end()


def _beside(
    looks: Iterable[Observation],
) -> Iterator[tuple[PackedMask | None, Observation, PackedMask | None]]:
    """Yield each mask between its neighbours, None where no neighbour can be compared."""
    before: PackedMask | None = None
    current: Observation | None = None
    for after in looks:
        if current is not None:
            near = comparable(current, after)
            yield before, current, after.mask if near else None
            before = current.mask if near else None
        current = after
    if current is not None:
        yield before, current, None
