"""Where a dataset is not what its manifest says."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

from labeler.clip_faults import Fault, Rule
from labeler.errors import LabelerError
from labeler.files import sha256_of
from labeler.manifest import MANIFEST, files, read_manifest
from labeler.threads import call_all

COVERED = ("JPEGImages", "Annotations", "ImageSets")
"""The folders whose every file is in the manifest; beside them a curator may put a README."""


def manifest_faults(
    folder: Path, progress: Callable[[int, int], None] | None = None
) -> Iterator[Fault]:
    """Name what is missing, too many, or changed; nothing where there is no manifest.

    Every file is read. Files of one folder that are at fault in one way are one fault.

    Args:
        folder: the dataset.
        progress: called with (files read, files to read).
    """
    if not (folder / MANIFEST).exists():
        return
    try:
        said = read_manifest(folder)
    except LabelerError as error:
        yield Fault(Rule.MANIFEST, folder / MANIFEST, str(error))
        return
    there = [name for name in sorted(said) if (folder / name).is_file()]
    changed = []
    for done, name in enumerate(call_all(partial(_changed, folder, n, said[n]) for n in there)):
        if name is not None:
            changed.append(name)
        if progress is not None:
            progress(done + 1, len(there))
    extra = set(files(folder, COVERED)) - said.keys()
    if (folder / "clips.csv").is_file() and "clips.csv" not in said:
        extra.add("clips.csv")
    for rule, names, how in (
        (Rule.MANIFEST_MISSING, set(said).difference(there), "is missing and stands in"),
        (Rule.MANIFEST_EXTRA, extra, "is there and stands not in"),
        (Rule.MANIFEST_CHANGED, set(changed), "has been changed since, by"),
    ):
        for below, group in groupby(sorted(names), key=lambda name: Path(name).parent):
            first, *others = group
            count = f" (and {len(others)} more in {folder / below})" if others else ""
            yield Fault(rule, folder / first, f"{folder / first}{count} {how} {MANIFEST}.")


def _changed(folder: Path, name: str, sha256: str) -> str | None:
    try:
        return None if sha256_of(folder / name) == sha256 else name
    except OSError:
        return name  # it cannot be read
