"""Output of the command line: results go to stdout, everything else goes to stderr."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from labeler.errors import LabelerError

out = Console(highlight=False, soft_wrap=True)
if not out.is_terminal:
    out.width = 160  # a file or a pipe has no edge to wrap at
err = Console(stderr=True, highlight=False, soft_wrap=True)


def never_fail(*streams: TextIO) -> None:
    """Let streams print any text in any locale: what they cannot write is escaped."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print a result."""
    out.print(text, markup=False)


def say_json(value: Any) -> None:
    """Print a result as JSON, for scripts."""
    out.print(json.dumps(value, indent=2, default=str), markup=False)


def note(text: str) -> None:
    """Print a remark that is not a result, to stderr."""
    err.print(text, markup=False, style="yellow")


@contextmanager
def spoken_errors() -> Iterator[None]:
    """Print the message of a LabelerError to stderr, and exit with code 1."""
    try:
        yield
    except LabelerError as error:
        err.print(f"mvps: {error}", markup=False, style="red")
        sys.exit(1)


def table(*columns: str, right: int = 1) -> Table:
    """Make a table without borders, whose columns from the `right`-th on are numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        number = position >= right
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    return made


class Bars:
    """Progress bars: one for each item in progress, and one for all items; see `bars`."""

    def __init__(self, shown: Progress, all_of_them: TaskID) -> None:
        self._shown, self._all = shown, all_of_them
        self._tasks: dict[int, TaskID] = {}

    def begin(self, item: int, name: str) -> Callable[[int, int | None], None]:
        """Show a bar called `name`; return a function of (done, total) that updates it.

        `item` tells items apart, as two may have one name.
        """
        task = self._tasks[item] = self._shown.add_task(name, total=None)
        return lambda done, total: self._shown.update(task, completed=done, total=total)

    def end(self, item: int) -> None:
        """Remove the bar of an item, which is done."""
        if (task := self._tasks.pop(item, None)) is not None:
            self._shown.remove_task(task)
        self._shown.advance(self._all)


@contextmanager
def bars(description: str, total: int) -> Iterator[Bars]:
    """Show the progress of `total` items, several at a time, below all other output."""
    with Progress(
        *_columns(),
        console=err,
        disable=not err.is_terminal,
        redirect_stdout=out.is_terminal,  # text for a pipe must not end up above the bars
    ) as shown:
        yield Bars(shown, shown.add_task(description, total=total))


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """Show a bar with the time left, on a terminal; yield a function of (done) or (done, total)."""
    with Progress(*_columns(), console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(description, total=total)

        def update(done: int, of: int | None = total) -> None:
            bar.update(task, completed=done, total=of)

        yield update


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
