"""Findings: what may be wrong with a mask, how sure that is, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """How sure it is that something is wrong."""

    FAULT = "fault"  # the mask cannot be used
    WARNING = "warning"  # look at it
    NOTE = "note"  # good to know


class FindingKind(StrEnum):
    """What may be wrong with a mask; the value is the rule's name for a script."""

    UNREADABLE = "unreadable"  # the mask or its picture
    SIZE = "size"  # the mask has another size than its picture
    EMPTY = "empty"  # nobody is masked
    SPECKS = "specks"  # scraps far from everybody
    HOLES = "holes"  # pinholes deep inside
    BORDER_GAP = "border-gap"  # it ends just short of the frame's border, along it
    BORDER_STRIP = "border-strip"  # it is a thin strip along the frame's border
    BORDER_AROUND = "border-around"  # it covers most of the frame's border
    AREA = "area"  # it grows or shrinks suddenly
    PLACE = "place"  # it is suddenly somewhere else
    FLICKER = "flicker"  # it differs from both neighbours, which are alike
    STILL = "still"  # the picture hardly changes from key frame to key frame

    @property
    def severity(self) -> Severity:
        """How sure it is that something is wrong."""
        if self in {FindingKind.UNREADABLE, FindingKind.SIZE}:
            return Severity.FAULT
        return Severity.NOTE if self is FindingKind.STILL else Severity.WARNING

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE[self]


_ADVICE = {
    FindingKind.UNREADABLE: "Put the file back from a copy, or make it again.",
    FindingKind.SIZE: "Make the mask again at the size of its picture.",
    FindingKind.EMPTY: "Mask the people in the frame; if there are none, leave it empty.",
    FindingKind.SPECKS: "Erase the specks, unless they show a person.",
    FindingKind.HOLES: "Fill the holes, unless the background shows through them.",
    FindingKind.BORDER_GAP: "Extend the mask to the border, if the person goes on there.",
    FindingKind.BORDER_STRIP: "Erase the strip, unless it is the edge of a person.",
    FindingKind.BORDER_AROUND: "Check whether portrait and background are swapped.",
    FindingKind.AREA: "Check whether one of the two masks lacks a person or has too much.",
    FindingKind.PLACE: "Check whether both masks show the same people.",
    FindingKind.FLICKER: "Check where this mask differs from the masks before and after.",
    FindingKind.STILL: "One of these frames is enough; use a part of the video where people move.",
}


@dataclass(frozen=True)
class Finding:
    """One reason to look at a mask.

    `path` is the file in question, `message` a sentence on what was found. A finding about
    several masks in a row names the first.
    """

    rule: FindingKind
    clip: str
    frame: int
    path: Path
    message: str

    def to_json(self) -> dict[str, str | int]:
        """Return the finding as JSON values, for scripts."""
        return {
            "file": str(self.path),
            "clip": self.clip,
            "frame": self.frame,
            "rule": self.rule.value,
            "severity": self.rule.severity.value,
            "message": self.message,
            "advice": self.rule.advice,
        }
