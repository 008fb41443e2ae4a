"""The collection rules of MVPS (PDNet paper, section 3.1), and whether a clip keeps them.

Three rules are judged from the clip alone. The portrait and its motion are judged from the masks
that count at the moment, so these verdicts change with the masks. No verdict is stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.mask import read_mask
from labeler.revision import Revision

SHORTEST_SIDE = 720
"""The least length of a picture's short side, in pixels."""

SHORTEST_TIME = 6
"""The least duration of a clip, in seconds."""

SMALLEST_PORTRAIT = 0.005
"""The least portrait, as a share of the frame; less is a bystander or a network's mistake."""

OBVIOUS_MOTION = 0.12
"""The least motion: 1 - J of the masks at two moments a second apart.

It is up to .09 for a network's masks of a still photograph with camera noise. In each of nine DAVIS
clips of people who move, it is at least .33 in nine of ten places.
"""

_MOVING_PLACES = 3  # pairs of masks that must show motion; one bad mask spoils two pairs
_STEPS = 7  # rounds through a clip, each with other pairs, so that motion is found early


class Rule(StrEnum):
    """A collection rule; the value is its name for a script."""

    PORTRAIT = "portrait"
    SHORT_SIDE = "short-side"
    DURATION = "duration"
    NO_CUT = "no-cut"
    MOTION = "motion"


@dataclass(frozen=True)
class RuleResult:
    """Whether a clip keeps a rule (`kept`; None if that is not known yet), and what was found."""

    rule: Rule
    kept: bool | None
    found: str

    @property
    def word(self) -> str:
        """The verdict in words: kept, broken, or not judged yet."""
        return {True: "kept", False: "broken", None: "not judged yet"}[self.kept]


def check_video_rules(clip: Clip) -> tuple[RuleResult, ...]:
    """Judge the rules that need no masks: short side, duration and cuts."""
    side, seconds = min(clip.width, clip.height), clip.frame_count / clip.fps
    return (
        RuleResult(
            Rule.SHORT_SIDE,
            side >= SHORTEST_SIDE,
            f"the short side is {side} pixels (at least {SHORTEST_SIDE})",
        ),
        RuleResult(
            Rule.DURATION,
            seconds >= SHORTEST_TIME,
            f"it lasts {float(seconds):.1f} s (at least {SHORTEST_TIME})",
        ),
        _check_cuts(clip),
    )


def check_rules(
    clip: Clip, masks: Mapping[int, Revision], path_of: Callable[[Revision], Path]
) -> tuple[RuleResult, ...]:
    """Judge every rule; this reads about six masks of a clip whose portrait moves.

    Args:
        clip: the clip.
        masks: the mask that counts for each key frame that has one.
        path_of: returns the path of a revision's mask.
    """
    complete = len(masks) >= len(clip.key_frames)
    return (
        _check_portrait(clip, masks, complete),
        *check_video_rules(clip),
        _check_motion(clip, masks, path_of, complete),
    )


def broken(verdicts: tuple[RuleResult, ...]) -> list[RuleResult]:
    """Return the verdicts that say a rule is broken."""
    return [verdict for verdict in verdicts if verdict.kept is False]


def _check_cuts(clip: Clip) -> RuleResult:
    if clip.cuts is None:
        return RuleResult(
            Rule.NO_CUT, None, "nobody has looked for camera cuts yet; `mvps judge` does"
        )
    if not clip.cuts:
        return RuleResult(Rule.NO_CUT, True, "no camera cut was found")
    places = ", ".join(f"{float(cut / clip.fps):.1f} s" for cut in clip.cuts[:5])
    more = f" and {len(clip.cuts) - 5} more" if len(clip.cuts) > 5 else ""
    number = "a camera cut" if len(clip.cuts) == 1 else f"{len(clip.cuts)} camera cuts"
    return RuleResult(Rule.NO_CUT, False, f"{number} at {places}{more}")


def _check_portrait(clip: Clip, masks: Mapping[int, Revision], complete: bool) -> RuleResult:
    if not masks:
        return RuleResult(Rule.PORTRAIT, None, "it has no masks yet")
    shares = [mask.area / (clip.width * clip.height) for mask in masks.values()]
    there = sum(share >= SMALLEST_PORTRAIT for share in shares)
    found = f"somebody is in {there} of {len(masks)} masked key frames"
    if there:
        return RuleResult(Rule.PORTRAIT, True, f"{found}, filling up to {max(shares):.0%}")
    return RuleResult(Rule.PORTRAIT, False if complete else None, found)


def _check_motion(
    clip: Clip,
    masks: Mapping[int, Revision],
    path_of: Callable[[Revision], Path],
    complete: bool,
) -> RuleResult:
    """Compare masks a second apart, until there is enough motion or no pair is left."""
    if not masks:
        return RuleResult(Rule.MOTION, None, "it has no masks yet")
    second = max(1, round(clip.fps / clip.stride)) * clip.stride
    pairs = [(frame, frame + second) for frame in sorted(masks) if frame + second in masks]
    if not pairs:
        return RuleResult(Rule.MOTION, None, "no two of its masks are a second apart")
    wanted, moving, most = min(_MOVING_PLACES, len(pairs)), 0, 0.0
    for start in range(_STEPS):
        for one, other in ((masks[a], masks[b]) for a, b in pairs[start::_STEPS]):
            if not one.area or not other.area:
                continue  # a person who comes or goes is not a portrait that moves
            try:
                change = _change(path_of(one), path_of(other), (one.digest, other.digest))
            except LabelerError as error:  # the doctor reports it
                return RuleResult(Rule.MOTION, None, str(error))
            most = max(most, change)
            moving += change >= OBVIOUS_MOTION
            if moving >= wanted:
                found = f"{most:.0%} of the portrait is elsewhere a second later"
                return RuleResult(Rule.MOTION, True, found)
    found = (
        f"at most {most:.0%} of the portrait is elsewhere a second later "
        f"(at least {OBVIOUS_MOTION:.0%} is needed)"
    )
    return RuleResult(Rule.MOTION, False if complete else None, found)


@lru_cache(maxsize=1 << 14)  # the status page asks every few seconds
def _change(one: Path, other: Path, _digests: tuple[str, str]) -> float:
    """Compute 1 - J, 0 to 1, of masks that are not both empty; digests mark a replaced file."""
    first, second = read_mask(one), read_mask(other)
    if first.shape != second.shape:
        raise LabelerError(f"{one} and {other} differ in size; run `mvps doctor --deep`.")
    return 1 - np.count_nonzero(first & second) / np.count_nonzero(first | second)
