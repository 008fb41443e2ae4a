"""Installs packages with pip, and tells what it does meanwhile."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from labeler.errors import LabelerError

LARGE = 5.0
"""Downloads of this many megabytes or more are told one by one."""

_COLLECTING = re.compile(r"Collecting (?P<name>[\w.-]+)")
_DOWNLOADING = re.compile(
    r"\s*Downloading (?P<file>\S+?)(-\d\S*)? \((?P<size>[\d.]+) (?P<unit>[kMG]?B)\)"
)
_MEGABYTES = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
_LAST_LINES = 30


def install_packages(
    python: Path,
    packages: list[str],
    tell: Callable[[str], None],
    update: Callable[[int], None] = lambda done: None,
) -> None:
    """Install packages into the environment of a Python, and what they need.

    Args:
        python: the interpreter of the environment.
        packages: what to install, as pip names it.
        tell: called with a sentence for each large download and each further step.
        update: called with the number of packages that were found so far.

    Raises:
        LabelerError: pip fails; its last lines say why.
    """
    command = [str(python), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", *packages]
    found: set[str] = set()
    last: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            last = [*last[1 - _LAST_LINES :], line]
            if match := _COLLECTING.match(line):
                found.add(match["name"].lower())
                update(len(found))
            elif (match := _DOWNLOADING.match(line)) and not line.rstrip().endswith(".metadata"):
                size = float(match["size"]) * _MEGABYTES[match["unit"]]
                if size >= LARGE:
                    tell(f"  downloading {match['file']}, {size:.0f} MB")
            elif line.startswith("Installing collected packages"):
                tell(f"  unpacking {len(found)} packages")
    if process.returncode:
        raise LabelerError(
            f"{' '.join(command)} failed; fix what it reports and try again:\n"
            + "".join(last)[-2000:]
        )
