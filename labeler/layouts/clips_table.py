"""Reads and writes clips.csv, the table of a dataset's clips."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from labeler.clip import Numbering, Scenario
from labeler.errors import LabelerError
from labeler.text.naming import check_clip_name
from labeler.text.valid import from_cell, to_cell, valid_text

COLUMNS = (
    "clip",
    "scenario",
    "frames",
    "annotated",
    "fps",
    "width",
    "height",
    "source",
    "sha256",
    "licence",
    "first_number",
    "number_step",
)
"""The columns of clips.csv; an older table that lacks the last ones is read, too."""

_READ = (COLUMNS, COLUMNS[:-2], COLUMNS[:-3])


@dataclass(frozen=True)
class ClipRow:
    """One clip of a dataset: a line of clips.csv.

    `frames` and `annotated` are the numbers of pictures and masks, `width` and `height` the size of
    the clip's pictures at the largest resolution. If a dataset has no clips.csv, `scenario` and
    `fps` are None, `source`, `sha256` and `licence` are "", and the rest is counted. The files of
    its frames are numbered `first_number`, `first_number + number_step`, and so on.
    """

    name: str
    scenario: Scenario | None
    frames: int
    annotated: int
    fps: Fraction | None
    width: int
    height: int
    source: str = ""
    sha256: str = ""
    licence: str = ""
    first_number: int = 0
    number_step: int = 1

    @property
    def numbering(self) -> Numbering:
        """The numbering of its frames."""
        return Numbering(self.first_number, self.number_step)


def format_clips(rows: Iterable[ClipRow]) -> str:
    """Format the text of clips.csv: one line per clip, by name."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in sorted(rows, key=lambda row: row.name):
        table.writerow(
            [to_cell(value) if isinstance(value, str) else value for value in vars(row).values()]
        )
    return text.getvalue()


def has_clips_table(dataset: Path) -> bool:
    """Tell whether a dataset has a clips.csv of this layout, by its first line."""
    try:
        with (dataset / "clips.csv").open(encoding="utf-8-sig", errors="replace") as file:
            columns = tuple(file.readline().rstrip("\r\n").split(","))
            return columns in _READ
    except OSError:
        return False


def read_clips(path: Path) -> tuple[ClipRow, ...]:
    """Read a clips.csv.

    Raises:
        LabelerError: a line has another layout; the message names it.
    """
    rows: dict[str, ClipRow] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line in csv.DictReader(file):
                if None in line or None in line.values():
                    raise ValueError("it does not have one value for each column")
                row = ClipRow(
                    name=check_clip_name(line["clip"]),
                    scenario=Scenario(line["scenario"]),
                    frames=int(line["frames"]),
                    annotated=int(line["annotated"]),
                    fps=Fraction(line["fps"]),
                    width=int(line["width"]),
                    height=int(line["height"]),
                    source=valid_text(from_cell(line["source"])),
                    sha256=line["sha256"],
                    licence=valid_text(from_cell(line.get("licence", ""))),
                    first_number=int(line.get("first_number", 0)),
                    number_step=int(line.get("number_step", 1)),
                )
                if row.first_number < 0 or row.number_step < 1:
                    raise ValueError(f"the frames of {row.name!r} cannot be numbered so")
                if row.name in rows:
                    raise ValueError(f"{row.name!r} is there twice")
                rows[row.name] = row
    except (ValueError, TypeError, KeyError, ZeroDivisionError, csv.Error, LabelerError) as error:
        raise LabelerError(
            f"{path} has a line that cannot be used, after {len(rows)} good ones ({error}); "
            "correct it, or export the dataset again."
        ) from None
    except OSError as error:
        raise LabelerError(f"{path} cannot be read ({error}).") from None
    return tuple(rows.values())
