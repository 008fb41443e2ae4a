"""Shared by the benchmarks: a measured number, how it is measured, and how it is shown."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured number; `goal` is what it should stay below, or above, where there is one."""

    section: str
    name: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False


def in_turns(rounds: int, **actions: Callable[[], object]) -> dict[str, float]:
    """The median seconds of each action, measured in turns so that noise hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def show(figures: Sequence[Figure], path: Path) -> None:
    """Print figures as a table and write them as JSON."""
    table = Table(box=None, header_style="bold")
    for column in ("", "figure", "value", "unit", "goal"):
        table.add_column(column, justify="right" if column in {"value", "goal"} else "left")
    for each in figures:
        sign = ">=" if each.at_least else "<="
        goal = "" if each.goal is None else f"{sign} {each.goal:g}"
        table.add_row(each.section, each.name, f"{each.value:.3g}", each.unit, goal)
    Console().print(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(each) for each in figures], indent=2) + "\n")
