"""Candidates: the videos to add, from the files of a folder or the lines of a table."""

import csv
import io
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labeler.clip import Scenario
from labeler.errors import LabelerError
from labeler.text.naming import clip_name, distinct_names, is_clip_name, readable, title_of

COLUMNS = ("path", "scenario", "source", "licence", "name")
"""The columns of a table of videos; `name` may be absent."""

_VIDEO_SUFFIX = re.compile(
    r"\.(3gp|asf|avi|dv|flv|gif|h264|hevc|ivf|m2ts|m4v|mjpe?g|mkv|mov|mp4|mpe?g|mts|mxf|og[gv]|ts"
    r"|webm|wmv|y4m)",
    re.IGNORECASE,
)

_EXAMPLE = ("https://example.org/walk", "CC BY 4.0")


@dataclass(frozen=True)
class Candidate:
    """A video that may become a clip.

    `name` is the clip's name; `given` says whether a person wrote it just so, and so it must not
    become another. `source` says where the video is from, and `licence` under which terms. `title`
    is the name as the person or the file has it, in any script; "" if that is `name`.
    """

    path: Path
    scenario: Scenario
    name: str
    source: str
    licence: str = ""
    title: str = ""
    given: bool = False

    @property
    def shown(self) -> str:
        """The clip's name as a person wants to see it: with the title, if that is another."""
        return f"{self.name} ({self.title})" if self.title else self.name

    @classmethod
    def of(
        cls, path: Path, scenario: Scenario, name: str = "", source: str = "", licence: str = ""
    ) -> "Candidate":
        """Make a candidate from a file and what is known of it; "" is what is not known.

        Without `name`, the file's name without its suffix names the clip. A name that a folder
        cannot have, such as one in Chinese, is written in Latin letters.
        """
        source = readable(source or path.name)
        file_title = title_of(path)
        if given := is_clip_name(name):
            title = "" if file_title.isascii() else file_title
        else:
            title = readable(name) or file_title
            name = clip_name(title)
        licence = readable(licence)
        return cls(path, scenario, name, source, licence, title if title != name else "", given)


def name_apart(candidates: Sequence[Candidate], taken: Collection[str] = ()) -> list[Candidate]:
    """Give each candidate a clip name of its own, unless a person has given it one.

    Args:
        candidates: the videos.
        taken: names that none may get.
    """
    free = [each for each in candidates if not each.given]
    folders = [each.path.absolute().parent for each in free]
    shared = os.path.commonpath(folders) if folders else ""
    titles = [
        f"{os.path.relpath(folder, shared)}/{(each.title or each.name).replace('/', '_')}"
        for each, folder in zip(free, folders, strict=True)
    ]
    names = distinct_names(titles, {*taken, *(each.name for each in candidates if each.given)})
    new_names = iter(names)
    return [each if each.given else _renamed(each, next(new_names)) for each in candidates]


def _renamed(candidate: Candidate, name: str) -> Candidate:
    title = candidate.title or candidate.name
    return replace(candidate, name=name, title="" if title == name else title)


def videos_below(folder: Path) -> list[Path]:
    """List the videos in a folder and its subfolders, found by file name suffix, sorted.

    Raises:
        LabelerError: the folder has no video.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if _VIDEO_SUFFIX.fullmatch(path.suffix)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise LabelerError(f"{folder} holds no video; name a folder with videos, such as .mp4.")
    return found


def read_candidates(
    table: Path, scenario: Scenario | None = None
) -> tuple[list[Candidate], list[str]]:
    """Read the videos that a table names, and a sentence for each line that cannot be used.

    The first line has the names of the columns (see `COLUMNS`). Commas, semicolons or tabs separate
    the values. Paths are relative to the table's folder.

    Args:
        table: a CSV file.
        scenario: the scenario of lines that name none.

    Raises:
        LabelerError: the table cannot be read, or has other columns.
    """
    try:
        # A file name may have bytes that are no UTF-8; a line with such a text is judged below.
        text = table.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise LabelerError(
            f"{table} cannot be read ({error.strerror}); save it as CSV in UTF-8."
        ) from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns = [column.strip().lower() for column in lines.fieldnames or ()]
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown or "path" not in columns or len(set(columns)) < len(columns):
        wrong = f"an unknown column {unknown[0]!r}" if unknown else f"the columns {columns}"
        raise LabelerError(
            f"{table} has {wrong}; its first line must be {','.join(COLUMNS[:-1])}, and may have "
            "a column name, too (`mvps add --template` writes such a table)."
        )
    lines.fieldnames = columns
    candidates, faults = [], []
    try:
        for line in lines:
            try:
                candidates.append(_candidate(line, table.parent, scenario))
            except ValueError as error:
                faults.append(f"{table}, line {lines.line_num}: {error}.")
    except csv.Error as error:
        raise LabelerError(
            f"{table}, line {lines.line_num}, is no line of a table ({error}); correct that line."
        ) from None
    return candidates, faults


def _candidate(
    line: dict[str | None, str | list[str] | None], folder: Path, scenario: Scenario | None
) -> Candidate:
    """Read the video of one line.

    Raises:
        ValueError: a value is missing or wrong.
    """
    values = {key: value.strip() for key, value in line.items() if key and isinstance(value, str)}
    if None in line or len(values) < len(line):
        raise ValueError("it does not have one value for each column")
    if not values["path"]:
        raise ValueError("it names no video; write its path")
    said = values.get("scenario") or (scenario.value if scenario else "")
    if said not in set(Scenario):
        known = ", ".join(each.value for each in Scenario)
        raise ValueError(f"{said!r} is no scenario; write one of {known}")
    path = folder / values["path"]
    if readable(values["path"]) != values["path"] and not path.is_file():
        raise ValueError("its path is not in UTF-8; save the table as CSV in UTF-8")
    return Candidate.of(
        path,
        Scenario(said),
        values.get("name", ""),
        values.get("source", ""),
        values.get("licence", ""),
    )


def write_template(table: Path, videos: Sequence[Path], scenario: Scenario | None) -> None:
    """Write a table to fill in, with a line for each video, or one example if there are none.

    Raises:
        LabelerError: the file exists already, or cannot be written.
    """
    said = scenario.value if scenario else ""
    named = name_apart([Candidate.of(video, scenario or Scenario.NEWS) for video in videos])
    try:
        with table.open("x", encoding="utf-8", errors="surrogateescape", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(COLUMNS)
            for candidate in named:
                path = os.path.relpath(candidate.path.resolve(), table.parent.resolve())
                lines.writerow([path, said, "", "", candidate.name])
            if not videos:
                lines.writerow(["walk.mp4", said or "outdoor-activity", *_EXAMPLE, "walk"])
    except FileExistsError:
        raise LabelerError(f"{table} is there already; name another file.") from None
    except OSError as error:
        raise LabelerError(f"{table} cannot be written ({error.strerror}).") from None
