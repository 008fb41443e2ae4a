"""The page of a verdict: the sentence, the numbers, and the worst frames side by side."""

from collections.abc import Sequence
from html import escape

from model.measure.evaluate_page import figure, page, table
from model.measure.judge import JudgedClip, SideBySide, Verdict
from model.measure.report import percent

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
