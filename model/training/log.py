"""The losses of a training, step by step: a CSV file that a resumed run continues, and a plot."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

FIRST_COLUMNS = ("step", "kind", "rate", "total")
"""Of losses.csv; the terms of the learner follow."""


class TrainingLog:
    """Rows of losses.csv, kept until `flush` writes them, so that they match the checkpoint."""

    def __init__(self, path: Path, terms: Sequence[str]) -> None:
        self._path, self._columns = path, (*FIRST_COLUMNS, *terms)
        self._waiting: list[dict[str, object]] = []

    def add(self, step: int, kind: str, rate: float, losses: Mapping[str, float]) -> None:
        """Take in one step; `rate` is the learning rate of all parameters but the backbone's."""
        self._waiting.append({"step": step, "kind": kind, "rate": rate, **losses})

    def flush(self) -> None:
        """Append the rows that are waiting to the file."""
        new = not self._path.exists()
        with self._path.open("a", newline="") as file:
            table = csv.DictWriter(file, self._columns, restval="", lineterminator="\n")
            if new:
                table.writeheader()
            table.writerows(self._waiting)
        self._waiting.clear()

    def forget_from(self, step: int) -> None:
        """Drop the rows of `step` and of later steps, which the checkpoint does not have."""
        if not self._path.exists():
            return
        lines = self._path.read_text().splitlines()
        kept = lines[:1] + [line for line in lines[1:] if int(line.split(",", 1)[0]) < step]
        self._path.write_text("".join(f"{line}\n" for line in kept))


def plot_losses(log: Path, picture: Path) -> None:
    """Draw a losses.csv as curves, a panel for each term, smoothed over a fiftieth of the steps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    terms = [name for name in [*rows[0]][3:] if any(row[name] for row in rows)]
    figure, panels = plt.subplots(
        len(terms), 1, figsize=(8, 1.6 * len(terms)), sharex=True, squeeze=False
    )
    for panel, term in zip(panels[:, 0], terms, strict=True):
        found = [(int(row["step"]), float(row[term])) for row in rows if row[term]]
        steps, values = np.array(found).T
        width = max(1, len(values) // 50)
        smooth = np.convolve(values, np.ones(width) / width, mode="valid")
        panel.plot(steps, values, color="0.8", linewidth=0.6)
        panel.plot(steps[width - 1 :], smooth, color="tab:blue", linewidth=1.4)
        panel.set_ylabel(term.replace("_", "\n"), fontsize=8)
        panel.set_ylim(0, float(np.quantile(values, 0.99)) * 1.1 or 1)
        panel.grid(alpha=0.3)
    panels[-1, 0].set_xlabel("step")
    figure.tight_layout()
    figure.savefig(picture, dpi=120)
    plt.close(figure)
