"""The effort with some engines as tables, JSON and a plot."""

import io
from itertools import cycle
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from labeler.files import write_atomically
from model.measure.bootstrap import RESAMPLES
from model.measure.effort import EARLY, SHARES, Effort, EngineEffort, Order, area
from model.measure.report import as_text, new_table, percent, write_json, write_text
from model.measure.robot import WORSE

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's colours, which colour-blind people tell apart."""

MARKERS = "osD^vPX"


def draw_effort(effort: Effort, path: Path) -> Path | None:
    """Draw mean J&F against the share of corrected frames, a line for each engine, as a PNG.

    The left panel is over all key frames, the right one over those not corrected themselves. A
    dashed line has the same engine's first predictions left unchanged: the gap between the two
    lines is the gain of masking again.

    Returns:
        The path, or None where matplotlib is not installed; a line on stderr says so.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        Console(stderr=True).print(
            f"{path.name} was not drawn: matplotlib is not installed here; the numbers of its "
            "curves are in the JSON."
        )
        return None
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for panel, uncorrected_only, title in (
        (left, False, "all key frames"),
        (right, True, "key frames not corrected themselves"),
    ):
        for engine, colour, marker in zip(
            effort.engines, cycle(COLOURS), cycle(MARKERS), strict=False
        ):
            curve = engine.curve(uncorrected_only=uncorrected_only)
            alone = engine.curve(Order.NO_PROPAGATION, uncorrected_only=uncorrected_only)
            q = effort.qualities[len(effort.qualities) // 2]
            label = f"{engine.name} (FC@{100 * q:g} {100 * engine.corrected_share(q):.0f} %)"
            panel.plot(
                100 * SHARES, 100 * curve, color=colour, marker=marker, markevery=10, label=label
            )
            panel.plot(100 * SHARES, 100 * alone, color=colour, linestyle="--", alpha=0.6)
        panel.set_title(f"Mean J&F over {title}")
        panel.set_xlabel("key frames corrected, worst first (%)")
        panel.set_xlim(0, 100)
        panel.grid(alpha=0.3)
    left.set_ylabel("J&F (%)")
    left.plot([], [], color="0.4", linestyle="--", label="first predictions left as they are")
    left.legend(loc="lower right")
    clips = len(effort.engines[0].clips)
    figure.suptitle(f"What corrections are worth: {clips} clips, mean of the clips")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, picture.getvalue())
    return path


EXPLANATION = (
    "FC@q is the share of the key frames corrected until every key frame of the clip has a J&F of "
    "at least q: the mean over the clips, in percent, lower is better. A correction is the true "
    "mask; after each one, the frames whose references changed are masked again."
)

COMPLETE = [order for order in Order if order is not Order.SEQUENTIAL]
"""The orders in which every frame is corrected in the end."""


def write_effort(effort: Effort, folder: Path) -> list[Path]:
    """Write effort.txt, effort.json and effort.png into a folder, and return their paths.

    Without matplotlib the picture is left out, and a printed line says so.
    """
    paths = [
        write_text(folder / "effort.txt", as_text(describe(effort), *effort_tables(effort))),
        write_json(folder / "effort.json", to_json(effort)),
    ]
    picture = draw_effort(effort, folder / "effort.png")
    return paths if picture is None else [*paths, picture]


def describe(effort: Effort) -> str:
    """Say what was measured, and what the numbers mean."""
    clips = effort.engines[0].clips
    frames = sum(len(run.frames) for clip in clips for run in clip.runs[:1])
    return (
        f"{len(clips)} clips, {frames} key frames (every {effort.stride}th, {effort.resolution}). "
        f"{EXPLANATION}"
    )


def effort_tables(effort: Effort) -> list[Table]:
    """Make four tables: FC@q, J&F after each share of corrections, behaviour, and differences.

    The last table is left out if there is only one engine.
    """
    tables = [_shares(effort), _curves(effort), _behaviour(effort)]
    return [*tables, _differences(effort)] if len(effort.engines) > 1 else tables


def to_json(effort: Effort) -> dict[str, Any]:
    """Return everything that was measured, down to each clip; shares are 0 to 1."""
    return {
        "qualities": effort.qualities,
        "stride": effort.stride,
        "resolution": effort.resolution,
        "curve_shares": SHARES.round(2).tolist(),
        "engines": [_engine_json(engine, effort.qualities) for engine in effort.engines],
        "comparisons": [
            {"engine": each.engine, "baseline": each.baseline, "quality": each.quality}
            | each.difference._asdict()
            for each in effort.comparisons()
        ],
    }


def _shares(effort: Effort) -> Table:
    columns = [f"FC@{100 * quality:g}" for quality in effort.qualities]
    table = new_table("Key frames to correct, %", "engine", "order", *columns, names=2)
    for engine in effort.engines:
        for order in Order:
            shares = [percent(engine.corrected_share(q, order)) for q in effort.qualities]
            table.add_row(engine.name, order, *shares)
        gains = [percent(engine.propagation_gain(q)) for q in effort.qualities]
        table.add_row(engine.name, "gain of propagation", *gains, style="bold", end_section=True)
    return table


def _curves(effort: Effort) -> Table:
    early = f"to {100 * EARLY:g} %"
    table = new_table(
        "Mean J&F while frames are corrected, %",
        *("engine", "order", "at first", early, "to 100 %"),
        *(f"others {early}", "others to 100 %"),
        names=2,
        caption="Mean height of the curve; others: over the frames not corrected themselves.",
    )
    for engine in effort.engines:
        for order in COMPLETE:
            areas = _areas(engine, order)
            table.add_row(engine.name, order, *(percent(value) for value in areas.values()))
    return table


def _behaviour(effort: Effort) -> Table:
    table = new_table(
        "After a correction",
        *("engine", "masked again", "worse, %", "altered", "s p50", "s p95"),
        *(f"px@{100 * quality:g}" for quality in effort.qualities),
        caption="masked again: frames; worse: the share of these whose J&F fell by more than "
        f"{WORSE:g}; altered: corrected frames whose mask the engine changed; s: seconds of the "
        "engine, with reading pictures; px@q: outline of the errors in the frames corrected until "
        "then, in pixels per key frame of the clip.",
    )
    for engine in effort.engines:
        seconds = [engine.refresh_seconds(percentile) for percentile in (50, 95)]
        table.add_row(
            engine.name,
            f"{engine.resegmented_per_correction:.1f}",
            percent(engine.worse_share),
            f"{engine.altered} of {engine.checked}",
            *("-" if value is None else f"{value:.3f}" for value in seconds),
            *(f"{engine.pixels_per_frame(quality):.0f}" for quality in effort.qualities),
        )
    return table


def _differences(effort: Effort) -> Table:
    table = new_table(
        "Difference in FC@q, percentage points",
        *("engine", "minus", "q", "difference", "95 % interval"),
        names=2,
        caption=f"Paired bootstrap over {len(effort.engines[0].clips)} clips, {RESAMPLES:,} "
        "resamples; *: the interval does not contain 0.",
    )
    for each in effort.comparisons():
        low, high = each.difference.low, each.difference.high
        table.add_row(
            each.engine,
            each.baseline,
            f"{100 * each.quality:g}",
            f"{100 * each.difference.difference:+.1f}",
            f"{100 * low:+.1f} to {100 * high:+.1f}{' *' if each.difference.clear else ''}",
        )
    return table


def _areas(engine: EngineEffort, order: Order) -> dict[str, float]:
    every, others = engine.curve(order), engine.curve(order, uncorrected_only=True)
    return {
        "at_first": float(every[0]),
        "early": area(every, EARLY),
        "whole": area(every),
        "others_early": area(others, EARLY),
        "others_whole": area(others),
    }


def _engine_json(engine: EngineEffort, qualities: tuple[float, ...]) -> dict[str, Any]:
    return {
        "name": engine.name,
        "model_version": engine.model_version,
        "corrected_share": {
            order.name.lower(): {f"{q:g}": engine.corrected_share(q, order) for q in qualities}
            for order in Order
        },
        "propagation_gain": {f"{q:g}": engine.propagation_gain(q) for q in qualities},
        "area": {order.name.lower(): _areas(engine, order) for order in COMPLETE},
        "curve": {
            order.name.lower(): {
                "all": engine.curve(order).tolist(),
                "others": engine.curve(order, uncorrected_only=True).tolist(),
            }
            for order in COMPLETE
        },
        "worse_share": engine.worse_share,
        "altered": engine.altered,
        "checked": engine.checked,
        "resegmented_per_correction": engine.resegmented_per_correction,
        "refresh_seconds": {f"p{p}": engine.refresh_seconds(p) for p in (50, 95)},
        "wrong_outline_pixels": {f"{q:g}": engine.pixels_per_frame(q) for q in qualities},
        "clips": [
            {
                "clip": clip.clip,
                "frames": clip.complete[Order.WORST_FIRST].frames,
                "first_j_and_f": clip.complete[Order.WORST_FIRST].scores[0].tolist(),
                "corrected_share": {
                    order.name.lower(): {
                        f"{q:g}": clip.corrected_share(q, order) for q in qualities
                    }
                    for order in Order
                },
                "corrected_in_order": {
                    order.name.lower(): [each.frame for each in clip.complete[order].corrections]
                    for order in COMPLETE
                },
            }
            for clip in engine.clips
        ],
    }
