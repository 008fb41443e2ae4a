"""The distribution of each measured quantity in one dataset, or in two side by side."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from labeler.clip import Scenario
from labeler.inspect.statistics import (
    GLCM_DISTANCE,
    GLCM_LEVELS,
    PORTRAIT_SHARE,
    DatasetStatistics,
    means,
    of_frames,
)

NOT_SAID = "not said"
"""The scenario of a clip that no clips.csv describes."""

MANY = 8
"""Frames with this many portraits or more are counted together."""


@dataclass(frozen=True)
class Spread:
    """A summary of some values: mean, standard deviation, least and greatest value."""

    mean: float
    deviation: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Summarize values; return None if there are none."""
        if not values:
            return None
        return cls(*(float(of(values)) for of in (np.mean, np.std, np.min, np.max)))


@dataclass(frozen=True)
class Distribution:
    """The distribution of one quantity, for each of the datasets.

    `how` says how it was measured, `across` and `counted` what labels and counts are. `labels` name
    the bars, or are the edges between them if `bins`. `counts` and `spreads` have an entry for each
    dataset.
    """

    name: str
    title: str
    how: str
    across: str
    counted: str
    labels: tuple[str, ...]
    bins: bool
    counts: tuple[tuple[int, ...], ...]
    spreads: tuple[Spread | None, ...]

    @property
    def rows(self) -> list[str]:
        """The name of each count: a label, or the range from one edge to the next."""
        if not self.bins:
            return list(self.labels)
        return [f"{a} to {b}" for a, b in zip(self.labels, self.labels[1:], strict=False)]

    def share(self, dataset: int, row: int) -> float:
        """Return the share of one count in all counts of a dataset, in percent."""
        return 100 * self.counts[dataset][row] / max(1, sum(self.counts[dataset]))


def distributions(datasets: Sequence[DatasetStatistics]) -> list[Distribution]:
    """Make every distribution that is plotted, without those for which no clip has a value."""
    return [_scenarios(datasets), *_measured(datasets)]


def _measured(datasets: Sequence[DatasetStatistics]) -> Iterator[Distribution]:
    yield from _histogram(
        "entropy",
        "Complexity",
        "Entropy of the grey level co-occurrence matrix, mean over a clip's key frames "
        f"({GLCM_LEVELS} levels, distance {GLCM_DISTANCE}, mean of 4 directions, at 480p). "
        "Figure 3 of the PDNet paper.",
        "GLCM entropy (bits)",
        "clips",
        [means(data, "entropy") for data in datasets],
    )
    yield from _histogram(
        "frames",
        "Duration",
        "Frames of each clip. Figure 4 of the PDNet paper.",
        "frames",
        "clips",
        [[float(clip.frames) for clip in data.clips] for data in datasets],
    )
    yield from _portraits(datasets)
    yield from _histogram(
        "area",
        "Area",
        "Share of the frame that is portrait, over all masks.",
        "area (% of the frame)",
        "masks",
        [[100 * value for value in of_frames(data, "area")] for data in datasets],
    )
    yield from _histogram(
        "step",
        "Motion: place",
        "How far the mask's centre goes from one key frame to the next, mean over a clip.",
        "step (% of the diagonal)",
        "clips",
        [[100 * value for value in means(data, "step")] for data in datasets],
    )
    yield from _histogram(
        "change",
        "Motion: shape and place",
        "How much a mask differs from that of the key frame before (1 - J), mean over a clip.",
        "change (%)",
        "clips",
        [[100 * (1 - value) for value in means(data, "overlap")] for data in datasets],
    )


def _scenarios(datasets: Sequence[DatasetStatistics]) -> Distribution:
    counts = [Counter(clip.scenario or NOT_SAID for clip in data.clips) for data in datasets]
    labels = [scenario.value for scenario in Scenario]
    if any(NOT_SAID in each for each in counts):
        labels.append(NOT_SAID)
    return Distribution(
        "scenario",
        "Scenarios",
        "Clips of each scenario. Figure 2 of the PDNet paper.",
        "scenario",
        "clips",
        tuple(labels),
        False,
        tuple(tuple(each[label] for label in labels) for each in counts),
        tuple(None for _ in counts),
    )


def _portraits(datasets: Sequence[DatasetStatistics]) -> Iterator[Distribution]:
    values = [[int(value) for value in of_frames(data, "portraits")] for data in datasets]
    if not any(values):
        return
    most = min(MANY, max(max(each, default=0) for each in values))
    counts = [Counter(min(value, MANY) for value in each) for each in values]
    yield Distribution(
        "portraits",
        "Portraits",
        f"Portraits in a mask: its connected pieces of {100 * PORTRAIT_SHARE:g} % of the frame or "
        "more. People who touch count as one.",
        "portraits",
        "masks",
        tuple(f"{n} or more" if n == MANY else str(n) for n in range(most + 1)),
        False,
        tuple(tuple(each[n] for n in range(most + 1)) for each in counts),
        tuple(Spread.of(each) for each in values),
    )


def _histogram(
    name: str, title: str, how: str, across: str, counted: str, values: Sequence[Sequence[float]]
) -> Iterator[Distribution]:
    """Count values between edges that are round numbers, the same for all datasets."""
    every = [value for each in values for value in each]
    if not every:
        return
    edges = MaxNLocator(10, steps=[1, 2, 2.5, 5, 10]).tick_values(min(every), max(every))
    yield Distribution(
        name,
        title,
        how,
        across,
        counted,
        tuple(f"{edge:.10g}" for edge in edges),
        True,
        tuple(_counts(each, edges) for each in values),
        tuple(Spread.of(each) for each in values),
    )


def _counts(values: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    inside = np.clip(values, edges[0], edges[-1])  # rounding may put the largest beyond it
    return tuple(map(int, np.histogram(inside, edges)[0]))
