"""Reads and writes a dataset's manifest, SHA256SUMS, which `sha256sum -c` can check."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from labeler.errors import LabelerError
from labeler.files import sha256_of, write_atomically

MANIFEST = "SHA256SUMS"
"""The file's name, at the top of a dataset."""


def write_manifest(dataset: Path, digests: Mapping[str, str]) -> None:
    """Write the manifest of a dataset, sorted by path.

    Args:
        dataset: its folder.
        digests: the SHA-256 of each file, 64 hex digits, by its path in the folder with `/`.
    """
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))
    write_atomically(dataset / MANIFEST, lines.encode())


def read_manifest(dataset: Path) -> dict[str, str]:
    """Read the manifest of a dataset: the SHA-256 of each file by its path.

    Raises:
        LabelerError: there is none, or a line is not one that `sha256sum` writes.
    """
    path = dataset / MANIFEST
    digests: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                # `find . -exec sha256sum` puts ./ before a path, and text mode has no asterisk.
                found = re.fullmatch(r"([0-9a-f]{64}) [ *](?:\./)?(.+)\n?", line)
                if found is None or ".." in Path(found[2]).parts or Path(found[2]).is_absolute():
                    raise LabelerError(
                        f"Line {number} of {path} is not the SHA-256 of a file in {dataset}; "
                        "export the dataset again, or make the manifest anew with sha256sum."
                    )
                digests[found[2]] = found[1]
    except OSError as error:
        raise LabelerError(f"{path} cannot be read ({error}).") from None
    return digests


def renew_manifest(dataset: Path, below: Collection[str], digests: Mapping[str, str]) -> None:
    """Update a dataset's manifest, if it has one, after a part of the dataset was made again.

    Args:
        dataset: its folder.
        below: the folders whose files were made again, by their path in the dataset.
        digests: the SHA-256 of files below them, if it is known; other files are read.

    Raises:
        LabelerError: the manifest is damaged.
    """
    if not (dataset / MANIFEST).exists():
        return
    known = read_manifest(dataset)
    kept = {
        path: digest
        for path, digest in known.items()
        if not any(path.startswith(f"{folder}/") for folder in below)
    }
    anew = {path: digests.get(path) or sha256_of(dataset / path) for path in files(dataset, below)}
    if kept | anew != known:
        write_manifest(dataset, kept | anew)


def files(dataset: Path, below: Collection[str]) -> list[str]:
    """List the paths of the files below some folders of a dataset, sorted, without hidden ones."""
    found = (path for folder in below for path in (dataset / folder).rglob("*") if path.is_file())
    paths = (path.relative_to(dataset) for path in found)
    return sorted(path.as_posix() for path in paths if not any(p[0] == "." for p in path.parts))
