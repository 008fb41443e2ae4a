"""An evaluation as tables, JSON, CSV and one HTML page."""

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from labeler.metrics import Statistics
from model.measure.evaluate import FINE_RADII, TIMING, Evaluation, Scope, Summary
from model.measure.evaluate_page import evaluation_page
from model.measure.report import as_text, new_table, percent, write_json, write_text
from model.measure.truth import PICTURES

_NUMBERS = (
    "J&F",
    *(f"{measure} {column}" for measure in "JF" for column in ("mean", "recall", "decay")),
    *(f"F {radius} px" for radius in FINE_RADII),
)


def write_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write evaluation.txt, .json, .csv and .html into a folder, and return their paths.

    The page shows the worst frames and needs no other file.
    """
    tables = evaluation_tables(evaluation)
    return [
        write_text(folder / "evaluation.txt", as_text(describe(evaluation), *tables, TIMING)),
        write_json(folder / "evaluation.json", to_json(evaluation)),
        write_text(folder / "evaluation.csv", to_csv(evaluation)),
        write_text(
            folder / "evaluation.html",
            evaluation_page(
                f"{evaluation.model_version}: masks against the truth",
                [describe(evaluation), TIMING],
                [(str(scope), _HEADER, _rows(evaluation, scope)) for scope in _scopes(evaluation)],
                evaluation.worst,
            ),
        ),
    ]


def describe(evaluation: Evaluation) -> str:
    """Say in one sentence what was measured."""
    if evaluation.resolution == PICTURES:
        return f"{evaluation.model_version} on {len(evaluation.clips)} pictures, each by itself."
    frames = sum(len(clip.frames) for clip in evaluation.clips)
    given = {0: "no mask given", 1: "the first frame's mask given"}.get(
        evaluation.given, f"{evaluation.given} evenly spaced masks of each clip given"
    )
    return (
        f"{evaluation.model_version} on {len(evaluation.clips)} clips, {frames} frames (every "
        f"{evaluation.stride}th, {evaluation.resolution}), {given}."
    )


def evaluation_tables(evaluation: Evaluation) -> list[Table]:
    """Make a table for each `Scope`, with a row for each clip and the mean of the clips last.

    All numbers except FPS and frames are in percent. For pictures there is only the mean.
    """
    tables = []
    for scope in _scopes(evaluation):
        table = new_table(str(scope), *_HEADER)
        *clips, overall = _rows(evaluation, scope)
        for row in clips if evaluation.resolution != PICTURES else ():
            table.add_row(*row)
        table.add_section()
        table.add_row(*overall, style="bold")
        tables.append(table)
    return tables


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything that was measured, down to each frame; shares are 0 to 1."""
    scopes = _scopes(evaluation)
    return {
        "model_version": evaluation.model_version,
        "given": evaluation.given,
        "stride": evaluation.stride,
        "resolution": evaluation.resolution,
        "timing": TIMING,
        "fps": evaluation.fps,
        "overall": {scope.name.lower(): _plain(evaluation.overall(scope)) for scope in scopes},
        "clips": [
            {
                "clip": clip.clip,
                "fps": clip.fps,
                "seconds": clip.seconds,
                "scores": {scope.name.lower(): _plain(clip.summary(scope)) for scope in scopes},
                "frames": [asdict(each) | {"j_and_f": each.j_and_f} for each in clip.frames],
            }
            for clip in evaluation.clips
        ],
    }


def to_csv(evaluation: Evaluation) -> str:
    """Write a line for each clip and `Scope`, unrounded; the clip `*` is the mean of all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["clip", "counted", *_NUMBERS, "fps", "frames"])
    for scope in _scopes(evaluation):
        lines = [(clip.clip, clip.summary(scope), clip.fps) for clip in evaluation.clips]
        for name, summary, fps in [*lines, ("*", evaluation.overall(scope), evaluation.fps)]:
            if summary is not None:
                numbers = _numbers(summary)
                writer.writerow([name, scope.name.lower(), *numbers, fps, summary.frames])
    return text.getvalue()


_HEADER = ("clip", *_NUMBERS, "FPS", "frames")


def _scopes(evaluation: Evaluation) -> list[Scope]:
    """Return the scopes that differ: with nothing given, WITHOUT_GIVEN is the same as ALL."""
    if evaluation.resolution == PICTURES:
        return [Scope.ALL]
    return [s for s in Scope if evaluation.given or s is not Scope.WITHOUT_GIVEN]


def _rows(evaluation: Evaluation, scope: Scope) -> list[tuple[str, ...]]:
    what = "pictures" if evaluation.resolution == PICTURES else "clips"
    lines = [(clip.clip, clip.summary(scope), clip.fps) for clip in evaluation.clips]
    lines.append((f"mean of the {what}", evaluation.overall(scope), evaluation.fps))
    rows = []
    for name, summary, fps in lines:
        numbers = [None] * len(_NUMBERS) if summary is None else _numbers(summary)
        frames = 0 if summary is None else summary.frames
        rows.append((name, *(percent(number) for number in numbers), f"{fps:.1f}", str(frames)))
    return rows


def _numbers(summary: Summary) -> list[float]:
    """Return the scores in the order of `_NUMBERS`."""
    region, boundary = summary.scores.region, summary.scores.boundary
    return [summary.scores.j_and_f, *_three(region), *_three(boundary), *summary.fine]


def _three(statistics: Statistics) -> tuple[float, float, float]:
    return statistics.mean, statistics.recall, statistics.decay


def _plain(summary: Summary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    return {
        "frames": summary.frames,
        "j_and_f": summary.scores.j_and_f,
        "region": asdict(summary.scores.region),
        "boundary": asdict(summary.scores.boundary),
        "boundary_within_px": dict(zip(map(str, FINE_RADII), summary.fine, strict=True)),
    }
