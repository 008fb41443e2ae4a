"""Judge whether new weights beat the champion, on clips that neither was trained on."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from html import escape
from typing import Any

import numpy as np

from labeler.reference import ReferenceBook
from model.data.sources import Take
from model.measure.bootstrap import Difference, paired_bootstrap
from model.measure.evaluate import ClipEvaluation, WorstFrame, evaluate_clip
from model.measure.evaluate_page import figure, page, table
from model.measure.report import percent
from model.measure.robot import Robot, worst_first
from model.measure.truth import TruthClip, truth_of_take
from model.segmenter import Segmenter

QUALITY = 0.85
"""The q of FC@q: the J&F from which a key frame needs no correction."""

FEWEST_CLIPS = 5
"""The fewest clips on which weights are promoted automatically; with fewer, chance decides."""

SCENARIO_MARGIN = 0.02
"""The most that a scenario's J&F may fall or, across engines, that its FC@q may rise."""

SMALLEST_GAIN = 0.002
"""The smallest gain in J&F that promotes, since a promotion changes every uncorrected mask."""

WORST_SHOWN = 12


@dataclass(frozen=True)
class Criteria:
    """The criteria that new weights have to meet, see `verdict_of`.

    `quality` is the q of FC@q, and `fewest` the number of clips that a promotion without a person
    needs. A scenario's J&F may fall by `margin` at most. Across engines (`by_effort`) only FC@q
    counts.
    """

    quality: float = QUALITY
    fewest: int = FEWEST_CLIPS
    margin: float = SCENARIO_MARGIN
    by_effort: bool = False


USUAL = Criteria()


@dataclass(frozen=True)
class ClipScores:
    """The scores of an engine on one clip.

    `j_and_f`, 0 to 1, is the mean over the measured frames, without any correction. `corrected` is
    FC@q, the share of the key frames that had to be corrected. `ms` is the time a frame takes, in
    milliseconds.
    """

    j_and_f: float
    corrected: float
    ms: float


@dataclass(frozen=True)
class JudgedClip:
    """One locked clip under both engines."""

    name: str
    scenario: str
    champion: ClipScores
    candidate: ClipScores


@dataclass(frozen=True)
class SideBySide:
    """One of the candidate's worst frames, as the champion and as the candidate mask it."""

    champion: WorstFrame
    candidate: WorstFrame


class Outcome(StrEnum):
    """The outcome of a verdict: BETTER is promoted, UNSURE only by a person, and WORSE not."""

    BETTER = "better"
    UNSURE = "unsure"
    WORSE = "worse"


@dataclass(frozen=True)
class Verdict:
    """The scores of each clip, and the outcome with its reason in one sentence."""

    champion: str
    candidate: str
    clips: tuple[JudgedClip, ...]
    j_and_f: Difference | None
    corrected: Difference | None
    outcome: Outcome
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Turn the verdict into a dictionary for JSON."""
        return asdict(self)

    def mean(self, who: str, what: str) -> float:
        """Compute the mean over the clips of the score `what`, of `champion` or `candidate`."""
        return float(np.mean([getattr(getattr(clip, who), what) for clip in self.clips]))


def judge(
    takes: Sequence[Take],
    scenarios: Sequence[str],
    champion: Segmenter,
    candidate: Segmenter,
    *,
    criteria: Criteria = USUAL,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Verdict, list[SideBySide]]:
    """Compare two engines on the same clips, without corrections and with a robot's corrections.

    Args:
        takes: the locked clips with their masks.
        scenarios: the scenario of each of these clips.
        champion: the engine to be replaced.
        candidate: the engine that may replace it.
        criteria: what the candidate has to reach.
        progress: called with (clips done, clips), each clip counting once for each engine.

    Returns:
        The verdict, and the candidate's worst frames, the worst first.

    Raises:
        LabelerError: a picture or a mask is missing or damaged.
    """
    judged: list[JudgedClip] = []
    worst: list[SideBySide] = []
    for take, scenario in zip(takes, scenarios, strict=True):
        truth = truth_of_take(take, stride=1)
        scores = []
        for engine in (champion, candidate):
            clip, frames = evaluate_clip(truth, engine)
            scores.append(_scores(clip, truth, engine, criteria.quality))
            if progress is not None:
                progress(2 * len(judged) + len(scores), 2 * len(takes))
        judged.append(JudgedClip(take.name, scenario, *scores))
        worst += [SideBySide(_masked(truth, each, champion), each) for each in frames]
    worst.sort(key=lambda each: each.candidate.scores.j_and_f)
    names = champion.model_version, candidate.model_version
    verdict = verdict_of(*names, judged, criteria)
    return verdict, worst[:WORST_SHOWN]


def judged_clips(truth: TruthClip, engine: Segmenter, quality: float = QUALITY) -> ClipScores:
    """Score an engine on one clip; `quality` is the q of FC@q."""
    return _scores(evaluate_clip(truth, engine)[0], truth, engine, quality)


def verdict_of(
    champion: str, candidate: str, clips: Sequence[JudgedClip], criteria: Criteria = USUAL
) -> Verdict:
    """Decide from the scores of each clip whether the candidate is better than the champion.

    It is better if three things hold: its mean J&F is not lower; its J&F (by SMALLEST_GAIN at
    least) or its FC@q is better beyond the 95 % interval of the paired bootstrap over clips; and no
    scenario's J&F falls by more than the margin. With too few clips a person decides. Across
    engines (`by_effort`) only FC@q counts, with the same margin: scores without any correction say
    little about an engine that is made to carry corrections.
    """
    gain = fewer = None
    if clips:
        gain = paired_bootstrap(
            [clip.candidate.j_and_f for clip in clips], [clip.champion.j_and_f for clip in clips]
        )
        fewer = paired_bootstrap(
            [clip.candidate.corrected for clip in clips],
            [clip.champion.corrected for clip in clips],
        )
    outcome, sentence = _verdict(clips, gain, fewer, criteria)
    return Verdict(champion, candidate, tuple(clips), gain, fewer, outcome, sentence)


def _verdict(
    clips: Sequence[JudgedClip],
    gain: Difference | None,
    fewer: Difference | None,
    criteria: Criteria,
) -> tuple[Outcome, str]:
    if gain is None or fewer is None:
        return Outcome.UNSURE, (
            "Not promoted: there is no locked clip to judge on; have masks of more clips accepted."
        )
    by_effort = criteria.by_effort
    if gain.difference < 0 and not by_effort:
        return Outcome.WORSE, f"Not promoted: J&F is lower by {-100 * gain.difference:.1f}."
    for scenario in sorted({clip.scenario for clip in clips}):
        of_it = [clip for clip in clips if clip.scenario == scenario]
        what = "the share of frames to correct rises" if by_effort else "J&F falls"
        worse = float(np.mean([_loss(clip, by_effort) for clip in of_it]))
        if worse > criteria.margin:
            return Outcome.WORSE, (
                f"Not promoted: in {scenario} {what} by {100 * worse:.1f}, more than "
                f"{100 * criteria.margin:.1f}."
            )
    better = []
    if gain.low > 0 and gain.difference >= SMALLEST_GAIN and not by_effort:
        better.append(f"J&F is higher by {100 * gain.difference:.1f} ({_interval(gain)})")
    if fewer.high < 0:
        less = f"{-100 * fewer.difference:.1f} % fewer frames need a correction"
        better.append(f"{less} ({_interval(fewer)})")
    if not better:
        frames = f"the frames to correct ({_interval(fewer)}) are"
        if by_effort:
            return Outcome.WORSE, f"Not promoted: {frames} not fewer beyond chance."
        if gain.low > 0:
            return Outcome.WORSE, (
                f"Not promoted: J&F is higher ({_interval(gain)}), but by less than "
                f"{100 * SMALLEST_GAIN:.1f}, and {frames} not fewer beyond chance."
            )
        return Outcome.WORSE, (
            f"Not promoted: neither J&F ({_interval(gain)}) nor {frames} better beyond chance."
        )
    found = " and ".join(better)
    if len(clips) < criteria.fewest:
        return Outcome.UNSURE, (
            f"Not promoted automatically: {found}, but on {len(clips)} locked clips only, and "
            f"{criteria.fewest} are needed; look at its masks, then run `mvps models promote`."
        )
    return Outcome.BETTER, f"Promoted: {found}."


def _loss(clip: JudgedClip, by_effort: bool) -> float:
    """Return by how much the candidate is worse than the champion on a clip, in J&F or FC@q."""
    if by_effort:
        return clip.candidate.corrected - clip.champion.corrected
    return clip.champion.j_and_f - clip.candidate.j_and_f


def _interval(difference: Difference) -> str:
    return f"95 % within {100 * difference.low:+.1f} and {100 * difference.high:+.1f}"


def _scores(
    clip: ClipEvaluation, truth: TruthClip, engine: Segmenter, quality: float
) -> ClipScores:
    run = Robot(truth, engine).run(worst_first)
    return ClipScores(
        float(np.mean([frame.j_and_f for frame in clip.frames])),
        run.corrections_until(quality) / len(run.frames),
        1000 / clip.fps,
    )


def _masked(truth: TruthClip, frame: WorstFrame, engine: Segmenter) -> WorstFrame:
    """Mask the same frame with another engine; its scores at fine radii are left out."""
    index = frame.scores.frame
    (answer,) = engine.segment(truth.frames, [index], ReferenceBook())
    scores = type(frame.scores)(
        index,
        truth.region(index, answer.mask),
        truth.boundary(index, answer.mask),
        (),
        answer.uncertainty,
        False,
    )
    return WorstFrame(frame.clip, frame.frames, scores, answer.mask, frame.truth)


COLUMNS = ("clip", "scenario", "J&F", "was", "frames to correct", "was", "ms a frame", "was")


def judge_page(verdict: Verdict, worst: Sequence[SideBySide]) -> str:
    """Write the page as one string that needs no other file."""
    rows = [_row(clip) for clip in verdict.clips]
    if rows:
        names = ("j_and_f", "corrected", "ms")
        means = [(verdict.mean("candidate", n), verdict.mean("champion", n)) for n in names]
        rows.append(("all", "", *_cells(means)))
    pairs = "".join(
        f'<main class="frames pair">{figure(each.candidate, "candidate")}'
        f"{figure(each.champion, 'champion')}</main>"
        for each in worst
    )
    return page(
        f"{verdict.candidate} against {verdict.champion}",
        f"<p><b>{escape(verdict.sentence)}</b></p>\n"
        + (table("locked clips", COLUMNS, rows) if rows else "")
        + (
            "<p>J&amp;F without any correction, and the share of the key frames that a robot had "
            "to correct, the worst first, until each was good; both in percent.</p>"
            f"<h2>The candidate's worst frames</h2>{pairs}"
        ),
    )


def _row(clip: JudgedClip) -> tuple[str, ...]:
    now, was = clip.candidate, clip.champion
    scores = [(now.j_and_f, was.j_and_f), (now.corrected, was.corrected), (now.ms, was.ms)]
    return clip.name, clip.scenario, *_cells(scores)


def _cells(scores: Sequence[tuple[float, float]]) -> list[str]:
    shares, (ms,) = scores[:2], scores[2:]
    return [*(percent(value) for pair in shares for value in pair), *(f"{v:.0f}" for v in ms)]
