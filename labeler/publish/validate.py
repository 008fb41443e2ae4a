"""Finds what is wrong in a dataset in the MVPS layout, and names each fault."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

from labeler.clip import KEY_FRAME_STRIDE
from labeler.errors import LabelerError
from labeler.files import sha256_of
from labeler.layouts.clips_table import COLUMNS, ClipRow, has_clips_table, read_clips
from labeler.layouts.mvps import FULL, SMALL, clip_folders, mask_tree, picture_tree, read_list
from labeler.publish.clip_faults import ClipFolders, Fault, FaultKind
from labeler.publish.manifest import MANIFEST, files, read_manifest
from labeler.publish.split import SPLITS, list_files, parted_sources, read_split
from labeler.threads import call_all

__all__ = ["Fault", "FaultKind", "validate"]


def validate(
    folder: Path,
    stride: int = KEY_FRAME_STRIDE,
    progress: Callable[[int, int], None] | None = None,
) -> list[Fault]:
    """Name every fault of a dataset in the MVPS layout; nothing is changed.

    Only the headers of pictures are read; masks are decoded. If there is a manifest, every file is
    compared with it.

    Args:
        folder: the dataset.
        stride: every `stride`-th frame has a mask.
        progress: called with (files compared with the manifest, files to compare).

    Returns:
        The faults of the folder as a whole, then those of each clip by name, then the differences
        from the manifest; empty if all is well.

    Raises:
        LabelerError: there is no such folder.
    """
    if not folder.is_dir():
        raise LabelerError(f"{folder} is no folder; give the one that holds JPEGImages.")
    faults = list(_layout(folder))
    present = clip_folders(picture_tree(folder, FULL))
    rows: dict[str, ClipRow] = {}
    if has_clips_table(folder):
        try:
            rows = {row.name: row for row in read_clips(folder / "clips.csv")}
            faults += _table(folder, rows, present)
        except LabelerError as error:
            faults.append(Fault(FaultKind.CLIPS_TABLE, folder / "clips.csv", str(error)))
    faults += _splits(folder, present)
    faults += _sources(folder, rows.values())
    clips = {clip for tree in _trees(folder) for clip in clip_folders(tree)}
    for clip in sorted(clips):
        faults += ClipFolders(folder, clip, rows.get(clip), stride).faults()
    faults += manifest_faults(folder, progress)
    return faults


def _trees(folder: Path) -> list[Path]:
    return [tree(folder, r) for r in (FULL, SMALL) for tree in (picture_tree, mask_tree)]


def _layout(folder: Path) -> Iterator[Fault]:
    for path in _trees(folder):
        if not path.is_dir():
            yield Fault(FaultKind.LAYOUT, path, f"The folder {path} is missing.")
    for path in list_files(folder).values():
        if not path.is_file():
            yield Fault(FaultKind.LAYOUT, path, f"The list {path} is missing.")
    if not has_clips_table(folder):
        path = folder / "clips.csv"
        columns = ",".join(COLUMNS)
        yield Fault(FaultKind.LAYOUT, path, f"{path} is missing or does not begin with {columns}.")


def _table(folder: Path, rows: Collection[str], present: Collection[str]) -> Iterator[Fault]:
    for clip in sorted(set(rows) - set(present)):
        path = picture_tree(folder, FULL) / clip
        yield Fault(FaultKind.CLIPS_TABLE, path, f"clips.csv names {clip}, but {path} is missing.")
    for clip in sorted(set(present) - set(rows)):
        path = picture_tree(folder, FULL) / clip
        yield Fault(
            FaultKind.CLIPS_TABLE, path, f"{path} is there, but clips.csv does not name {clip}."
        )


def _splits(folder: Path, present: Collection[str]) -> Iterator[Fault]:
    paths = list(list_files(folder).values())
    lists = {path: read_list(path) for path in paths if path.is_file()}
    listed = Counter(clip for path in lists for clip in lists[path])
    for clip, times in listed.items():
        places = [path for path in lists if clip in lists[path]]
        where = " and ".join(path.name for path in places)
        if times > 1:
            message = f"The clip {clip} is listed {times} times, in {where}; a clip is in one list."
            yield Fault(FaultKind.SPLIT_TWICE, places[-1], message)
        if clip not in present:
            message = f"{where} lists {clip}, which has no pictures at full resolution."
            yield Fault(FaultKind.SPLIT_UNKNOWN, places[0], message)
    if len(lists) == len(SPLITS):
        for clip in sorted(set(present) - set(listed)):
            message = f"The clip {clip} is in no list of {folder / 'ImageSets'}."
            yield Fault(FaultKind.SPLIT_MISSING, folder / "ImageSets", message)


def _sources(folder: Path, rows: Iterable[ClipRow]) -> Iterator[Fault]:
    try:
        split = read_split(folder)
    except LabelerError:
        return  # a clip is in both lists, which is reported already
    if split is not None:
        for group in parted_sources(rows, split):
            message = (
                f"{', '.join(group)} are of one source video by clips.csv, but not in one "
                "list: the test would use what was trained on."
            )
            yield Fault(FaultKind.SPLIT_SOURCE, folder / "ImageSets", message)


COVERED = ("JPEGImages", "Annotations", "ImageSets")
"""The folders whose files are all in the manifest; a curator may put a README beside them."""


def manifest_faults(
    folder: Path, progress: Callable[[int, int], None] | None = None
) -> Iterator[Fault]:
    """Name files that are missing, not listed, or changed; yield nothing without a manifest.

    Every file is read. Files of one folder with the same kind of fault are one fault.

    Args:
        folder: the dataset.
        progress: called with (files read, files to read).
    """
    if not (folder / MANIFEST).exists():
        return
    try:
        said = read_manifest(folder)
    except LabelerError as error:
        yield Fault(FaultKind.MANIFEST, folder / MANIFEST, str(error))
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
        (FaultKind.MANIFEST_MISSING, set(said).difference(there), "is missing, but listed in"),
        (FaultKind.MANIFEST_EXTRA, extra, "is there, but not listed in"),
        (FaultKind.MANIFEST_CHANGED, set(changed), "has other bytes than listed in"),
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
