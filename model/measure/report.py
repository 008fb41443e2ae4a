"""What every report needs: tables as text, numbers as people read them, and files."""

import io
import json
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from labeler.files import write_atomically


def new_table(title: str, *columns: str, names: int = 1, caption: str | None = None) -> Table:
    """Make a table; its first `names` columns hold words, the others hold numbers."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for position, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if position < names else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    return table


def percent(value: float | None) -> str:
    """Format a share as the papers print it: in percent with one decimal, without the sign.

    >>> percent(0.8814), percent(None)
    ('88.1', '-')
    """
    return "-" if value is None else f"{100 * value:.1f}"


def as_text(*parts: Table | str) -> str:
    """Format tables and sentences as plain text, as wide as they need."""
    text = io.StringIO()
    console = Console(file=text, width=200, color_system=None, highlight=False, emoji=False)
    for part in parts:
        console.print(part, markup=False, soft_wrap=isinstance(part, str))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def write_json(path: Path, data: Any) -> Path:
    """Write JSON that every reader accepts (no NaN), and return the path."""
    return write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> Path:
    """Write a text file, as a whole or not at all; make its folder, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return path
