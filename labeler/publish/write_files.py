"""Writes the pictures and masks of an export, or links those of the previous export."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labeler.clip import Clip, frame_name
from labeler.errors import LabelerError
from labeler.layouts.mvps import FULL, SMALL, mask_tree, picture_tree
from labeler.mask import encode_published_mask, mask_digest
from labeler.publish.ledger import Ledger, Made
from labeler.publish.resize import resize_mask, shrunk_picture, size_480p
from labeler.revision import Revision
from labeler.threads import call_all
from labeler.workspace.workspace import Workspace


@dataclass(frozen=True)
class Part:
    """A clip to export, with the masks to export."""

    clip: Clip
    revisions: tuple[Revision, ...]


@dataclass(frozen=True)
class Written:
    """A file of an export, by its path in the dataset, and what it was made from.

    `kept` says whether it was linked from the previous export. `mended` says whether it was made
    again only because the previous file had changed.
    """

    name: str
    made: Made
    kept: bool
    mended: bool


@dataclass(frozen=True)
class Damaged:
    """A picture or mask that could not be written: its clip, and a sentence that says why."""

    clip: str
    why: str


def write_files(
    workspace: Workspace, parts: Sequence[Part], folder: Path, before: Path, earlier: Ledger
) -> Iterator[tuple[Written, ...] | Damaged]:
    """Fill a new dataset with pictures and masks at both resolutions.

    Pictures at full resolution are the workspace's, byte for byte; the rest is made from those and
    from the recorded masks. A file that an earlier export made from the same source, and that has
    not changed, is linked: the new dataset replaces the old one, so two datasets never share it.

    Args:
        workspace: where the clips and masks are.
        parts: the clips and masks to write.
        folder: the new dataset, empty.
        before: the earlier export.
        earlier: the ledger of that export.

    Yields:
        The two files, full resolution and 480p, of each picture and each mask; or, if its file in
        the workspace is missing or damaged, what is wrong with it.
    """
    return call_all(
        partial(_write, job, folder, before, earlier) for job in _jobs(workspace, parts, folder)
    )


@dataclass(frozen=True)
class _Job:
    """One picture or mask: its paths in the dataset, what it is made from, and how."""

    clip: str
    names: tuple[str, str]
    source: Callable[[], str]
    make: Callable[[], tuple[bytes, bytes]]


def _jobs(workspace: Workspace, parts: Sequence[Part], folder: Path) -> Iterator[_Job]:
    for part in parts:
        clip = part.clip
        pictures, masks = (
            [tree(Path(), resolution) / clip.name for resolution in (FULL, SMALL)]
            for tree in (picture_tree, mask_tree)
        )
        for below in pictures + masks:
            (folder / below).mkdir(parents=True)
        source = workspace.frames(clip).folder
        for index in range(clip.frame_count):
            name = f"{clip.numbering.name(index)}.jpg"
            path = source / f"{frame_name(index)}.jpg"
            yield _Job(
                clip.name,
                (str(pictures[0] / name), str(pictures[1] / name)),
                partial(_stamp, clip, path),
                partial(_picture, path),
            )
        for revision in part.revisions:
            name = f"{clip.numbering.name(revision.frame)}.png"
            yield _Job(
                clip.name,
                (str(masks[0] / name), str(masks[1] / name)),
                partial("davis-palette {}".format, revision.digest),
                partial(_mask, workspace, revision),
            )


def _write(job: _Job, folder: Path, before: Path, earlier: Ledger) -> tuple[Written, ...] | Damaged:
    try:
        source = job.source()
        kept = [earlier.still(before, name, source) for name in job.names]
        data = (b"", b"") if all(kept) else job.make()
    except LabelerError as error:
        return Damaged(job.clip, str(error))
    written = []
    for name, sha256, new in zip(job.names, kept, data, strict=True):
        if sha256 is not None:
            _link(before / name, folder / name)
        else:
            (folder / name).write_bytes(new)
        written.append(
            Written(
                name,
                Made(source, sha256 or hashlib.sha256(new).hexdigest()),
                kept=sha256 is not None,
                mended=sha256 is None and earlier.was_made_of(name, source),
            )
        )
    return tuple(written)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _stamp(clip: Clip, path: Path) -> str:
    """Identify a frame without reading it: its clip, its name, its size, its time of change."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        raise LabelerError(
            f"{path} is missing; run `mvps doctor` to see what else is damaged."
        ) from None
    return f"{clip.sha256[:16]} {path.name} {stat.st_size} {stat.st_mtime_ns}"


def _picture(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), shrunk_picture(path)


def _mask(workspace: Workspace, revision: Revision) -> tuple[bytes, bytes]:
    mask = workspace.read(revision)
    if mask_digest(mask) != revision.digest:
        raise LabelerError(
            f"{workspace.mask_path(revision)} was changed after it was recorded; "
            "run `mvps doctor` and bring back a copy."
        )
    size = size_480p(mask.shape[1], mask.shape[0])
    return encode_published_mask(mask), encode_published_mask(resize_mask(mask, size))
