"""Writes the statistics of one dataset, or of two side by side, as a page and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from labeler.files import write_atomically
from labeler.inspect.distribution import NOT_SAID, Distribution, Spread, distributions
from labeler.inspect.plots import draw_bars
from labeler.inspect.statistics import (
    GLCM_ANGLES,
    GLCM_DISTANCE,
    GLCM_LEVELS,
    PORTRAIT_SHARE,
    ClipStatistics,
    DatasetStatistics,
    means,
    of_frames,
)
from labeler.version import __version__

PARAMETERS: dict[str, Any] = {
    "pictures": "480p, in grey; larger ones are reduced (mean of areas), smaller ones kept",
    "glcm": {
        "levels": GLCM_LEVELS,
        "distance": GLCM_DISTANCE,
        "angles_degrees": [round(float(np.degrees(angle))) for angle in GLCM_ANGLES],
        "symmetric": True,
        "unit": "bits, mean of the angles",
    },
    "portrait": f"8-connected piece of the mask, {100 * PORTRAIT_SHARE:g} % of the frame or more",
    "area": "share of the frame that the mask covers",
    "step": "distance between the centres of consecutive key-frame masks, share of the diagonal",
    "overlap": "J (intersection over union) of consecutive key-frame masks",
}
"""The parameters with which everything was measured."""


def summary(data: DatasetStatistics) -> dict[str, str]:
    """Summarize one dataset in a few numbers, formatted for people."""
    clips = data.clips
    seconds = [clip.seconds for clip in clips if clip.seconds is not None]
    numbers = {
        "clips": str(len(clips)),
        "upright clips": str(sum(clip.height > clip.width for clip in clips)),
        "frames": str(sum(clip.frames for clip in clips)),
        "minutes": f"{sum(seconds) / 60:.1f}" if len(seconds) == len(clips) else NOT_SAID,
        "masks measured": str(len(of_frames(data, "portraits"))),
    }
    for name, values in (
        ("frames per clip", [float(clip.frames) for clip in clips]),
        ("GLCM entropy per clip, bits", means(data, "entropy")),
        ("portraits per mask", of_frames(data, "portraits")),
        ("area, % of the frame", [100 * value for value in of_frames(data, "area")]),
        ("step per clip, % of the diagonal", [100 * value for value in means(data, "step")]),
        ("change per clip, 1 - J in %", [100 * (1 - v) for v in means(data, "overlap")]),
    ):
        numbers[name] = spoken(Spread.of(values))
    return numbers


def spoken(spread: Spread | None) -> str:
    """Format mean, standard deviation and range.

    >>> spoken(Spread(12.345, 0.5, 11, 13.25))
    '12.3 ± 0.5 (11 to 13.2)'
    """
    if spread is None:
        return "-"
    mean, deviation, least, most = (
        f"{value:.3g}" for value in (spread.mean, spread.deviation, spread.least, spread.most)
    )
    return f"{mean} ± {deviation} ({least} to {most})"


def to_json(datasets: Sequence[DatasetStatistics]) -> dict[str, Any]:
    """Return everything that was measured, down to each key frame."""
    return {
        "version": __version__,
        "parameters": PARAMETERS,
        "datasets": [
            {
                "name": data.name,
                "every": data.every,
                "clips": [asdict(clip) | {"means": _clip_means(clip)} for clip in data.clips],
            }
            for data in datasets
        ],
        "distributions": [asdict(each) for each in distributions(datasets)],
    }


def write_report(datasets: Sequence[DatasetStatistics], folder: Path) -> list[Path]:
    """Write statistics.html, which needs no other file, and statistics.json into a folder.

    Args:
        datasets: one, or two to compare side by side.
        folder: where to write; it is made if it is missing.

    Returns:
        The two paths.
    """
    drawn = [(each, _draw(each)) for each in distributions(datasets)]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("labeler"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("statistics.html").render(
        datasets=datasets,
        overviews=[summary(data) for data in datasets],
        drawn=drawn,
        parameters=PARAMETERS,
        means=_clip_means,
        spoken=spoken,
        not_said=NOT_SAID,
    )
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "statistics.html", folder / "statistics.json"]
    write_atomically(paths[0], page.encode())
    text = json.dumps(to_json(datasets), indent=1, allow_nan=False)
    write_atomically(paths[1], f"{text}\n".encode())
    return paths


def _clip_means(clip: ClipStatistics) -> dict[str, float | None]:
    return {name: clip.mean(name) for name in ("entropy", "portraits", "area", "step", "overlap")}


def _draw(each: Distribution) -> str:
    """Draw one dataset in numbers, or two in shares, which can be compared."""
    alone = len(each.counts) == 1
    heights = [
        [counts[row] if alone else each.share(dataset, row) for row in range(len(counts))]
        for dataset, counts in enumerate(each.counts)
    ]
    up = each.counted if alone else f"share of the {each.counted} (%)"
    flat = each.name == "scenario"
    return draw_bars(each.labels, heights, across=each.across, up=up, flat=flat, bins=each.bins)
