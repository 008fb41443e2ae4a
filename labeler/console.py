"""How the command line speaks: results to stdout, everything else to stderr."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from labeler.errors import LabelerError

out = Console(highlight=False, soft_wrap=True)
if not out.is_terminal:
    out.width = 160  # a file or a pipe has no edge to wrap at
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a result."""
    out.print(text, markup=False)


def say_json(value: Any) -> None:
    """Print a result for a script to read."""
    out.print(json.dumps(value, indent=2, default=str), markup=False)


def note(text: str) -> None:
    """Tell the person something that is no result."""
    err.print(text, markup=False, style="yellow")


@contextmanager
def spoken_errors() -> Iterator[None]:
    """Turn a LabelerError into its sentence on stderr and exit code 1."""
    try:
        yield
    except LabelerError as error:
        err.print(f"mvps: {error}", markup=False, style="red")
        sys.exit(1)


def table(*columns: str, right: int = 1) -> Table:
    """An unboxed table whose columns from the `right`-th on are numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        number = position >= right
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    return made


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show a bar with the time left on a terminal; gives a function of (done) or (done, total)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(description, total=total)

        def update(done: int, of: int | None = total) -> None:
            bar.update(task, completed=done, total=of)

        yield update
