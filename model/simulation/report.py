"""A simulation as a table, JSON, and a plot."""

import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.table import Table

from labeler.files import write_atomically
from model.measure.effort_report import COLOURS, MARKERS
from model.measure.report import as_text, new_table, percent, write_json, write_text
from model.simulation.simulate import Trial


def write_simulation(trials: Sequence[Trial], folder: Path) -> list[Path]:
    """Write simulation.txt, simulation.json and simulation.png into a folder; return their paths.

    Without matplotlib the picture is left out.
    """
    paths = [
        write_text(folder / "simulation.txt", as_text(simulation_table(trials))),
        write_json(folder / "simulation.json", [asdict(trial) for trial in trials]),
    ]
    picture = _draw(trials, folder / "simulation.png")
    return paths if picture is None else [*paths, picture]


def simulation_table(trials: Sequence[Trial]) -> Table:
    """Make a table of the scores after the last round, for each way to pick frames.

    Scores are in percent: the mean over the seeds, and their spread. The first row has the scores
    before the first round.
    """
    table = new_table(
        "After the last round, %",
        *("picked", "retrained", "labelled", "J&F", "FC", "others", "promoted"),
        names=2,
        caption="J&F and FC on clips that nobody labelled; others: J&F of the frames of the "
        "labelled clips that were not labelled themselves; promoted: in how many rounds the new "
        "weights were better.",
    )
    first = trials[0].rounds[0]
    table.add_row(
        "(nothing)",
        "",
        "0",
        percent(first.j_and_f),
        percent(first.corrected),
        percent(first.others),
    )
    for group in _groups(trials):
        last = [trial.rounds[-1] for trial in group]
        cells = [
            _spread([getattr(each, name) for each in last])
            for name in ("j_and_f", "corrected", "others")
        ]
        promoted = sum(bool(each.promoted) for trial in group for each in trial.rounds)
        table.add_row(
            group[0].picking,
            "yes" if group[0].retrained else "no",
            f"{np.mean([each.labelled for each in last]):.0f}",
            *cells,
            f"{promoted} of {sum(len(trial.rounds) - 1 for trial in group)}"
            if group[0].retrained
            else "-",
        )
    return table


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Group the trials that differ in their seed only."""
    groups: dict[tuple[str, bool], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.picking.value, trial.retrained), []).append(trial)
    return list(groups.values())


def _spread(values: Sequence[float]) -> str:
    """Format the mean of values and, if there are several, the least and the greatest."""
    mean = percent(float(np.mean(values)))
    return mean if len(values) == 1 else f"{mean} ({percent(min(values))}-{percent(max(values))})"


def _draw(trials: Sequence[Trial], path: Path) -> Path | None:
    """Draw J&F, FC and the other frames' J&F against the number of frames labelled."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(15, 5), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = {
        "j_and_f": "J&F on clips that nobody labelled",
        "corrected": "FC on clips that nobody labelled",
        "others": "J&F of the labelled clips' other frames",
    }
    pickings = list(dict.fromkeys(trial.picking for trial in trials))
    for panel, (name, title) in zip(panels, titles.items(), strict=True):
        for group in _groups(trials):
            place = pickings.index(group[0].picking)
            across = np.mean([[each.labelled for each in trial.rounds] for trial in group], axis=0)
            up = [[100 * getattr(each, name) for each in trial.rounds] for trial in group]
            panel.plot(
                across,
                np.mean(up, axis=0),
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                linestyle="-" if group[0].retrained else "--",
                label=f"{group[0].picking}{'' if group[0].retrained else ', not retrained'}",
            )
            panel.fill_between(
                across,
                np.min(up, axis=0),
                np.max(up, axis=0),
                color=COLOURS[place % len(COLOURS)],
                alpha=0.12,
            )
        panel.set_title(title)
        panel.set_xlabel("frames labelled")
        panel.set_ylabel("%")
        panel.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    panels[1].set_ylim(-2, 102)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, picture.getvalue())
    return path
