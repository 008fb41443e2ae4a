"""From a workspace to a dataset in the MVPS layout."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labeler.clip import Clip, frame_name
from labeler.clips_table import ClipRow, format_clips, has_clips_table
from labeler.errors import LabelerError
from labeler.mask import encode_mask, mask_digest
from labeler.mvps import FULL, mask_tree, picture_tree
from labeler.resize import resize_dataset
from labeler.revision import Provenance, Revision
from labeler.split import split_clips, write_split
from labeler.swap import replacing
from labeler.threads import call_all
from labeler.workspace import Workspace

OURS = {"JPEGImages", "Annotations", "ImageSets", "clips.csv"}
"""Everything an export writes into its folder."""


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote, and what it did not.

    `clips` are the names of the exported clips; `frames` and `masks` the numbers of their
    pictures and masks, each of which is there at full resolution and at 480p. `left_out` says
    for each clip that is not in the dataset why, as (clip, reason).
    """

    clips: tuple[str, ...]
    frames: int
    masks: int
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Part:
    """A clip to be exported, and the masks that go with it."""

    clip: Clip
    revisions: tuple[Revision, ...]


def export_mvps(
    workspace: Workspace,
    target: Path,
    *,
    include_unreviewed: bool = False,
    clips: Sequence[str] | None = None,
    test_share: float = 0.4,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write a dataset in the MVPS layout; what `target` held is replaced only by a whole one.

    The same clips and masks give the same bytes, whoever recorded them and in whatever order.

    Args:
        workspace: where the clips and masks are.
        target: the dataset's folder: a new one, an empty one, or that of an earlier export.
        include_unreviewed: export the mask that counts for each key frame even where it is not
            accepted, or is a mere prediction.
        clips: the names of the clips to export; all of them when None.
        test_share: the share of the clips to test on (see `split_clips`).
        seed: the seed of the split.
        progress: called with (files written, files to write).

    Returns:
        What was written and what was left out: a clip without an exportable mask.

    Raises:
        LabelerError: nothing is to be exported, `target` holds something else, a file of the
            workspace is missing or damaged, or nothing can be written. `target` is unchanged.
    """
    _refuse_foreign(target)
    chosen = (
        workspace.clips()
        if clips is None
        else [workspace.clip(name) for name in sorted(set(clips))]
    )
    parts, left_out = _choose(workspace, chosen, include_unreviewed)
    if not parts:
        raise LabelerError(_why_nothing(workspace, left_out))
    frames = sum(part.clip.frame_count for part in parts)
    masks = sum(len(part.revisions) for part in parts)
    split = split_clips((part.clip.name for part in parts), test_share, seed)
    with replacing(target) as folder:
        _write_full(workspace, parts, folder, progress)
        half = frames + masks
        resize_dataset(
            folder, None if progress is None else lambda done, _: progress(half + done, 2 * half)
        )
        write_split(folder, split)
        table = format_clips(_row(part) for part in parts)
        (folder / "clips.csv").write_text(table, encoding="utf-8", newline="")
    return ExportReport(tuple(part.clip.name for part in parts), frames, masks, left_out)


def _choose(
    workspace: Workspace, clips: Sequence[Clip], include_unreviewed: bool
) -> tuple[list[_Part], tuple[tuple[str, str], ...]]:
    """The clips that have masks to export, and for each other one the reason."""
    parts, left_out = [], []
    for clip in clips:
        current = workspace.current(clip)
        revisions = tuple(
            revision
            for _, revision in sorted(current.items())
            if include_unreviewed or revision.provenance is Provenance.ACCEPTED
        )
        if revisions:
            parts.append(_Part(clip, revisions))
        elif current:
            left_out.append((clip.name, f"none of its {len(current)} masks is accepted"))
        else:
            left_out.append((clip.name, "it has no mask yet"))
    return parts, tuple(left_out)


def _why_nothing(workspace: Workspace, left_out: Sequence[tuple[str, str]]) -> str:
    if not left_out:
        return f"There is no clip in {workspace.root} to export; add a video with `mvps add`."
    if all(reason == "it has no mask yet" for _, reason in left_out):
        return (
            f"No clip in {workspace.root} that was asked for has a mask; "
            "run `mvps preannotate` first."
        )
    return (
        f"No mask in {workspace.root} that was asked for is accepted yet; have masks checked and "
        "accepted (`mvps review list`), or export what there is with --include-unreviewed."
    )


def _refuse_foreign(target: Path) -> None:
    """Refuse a target that an export would have to delete something else from.

    Raises:
        LabelerError: the target is a file, a mount point, or holds what no export wrote.
    """
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir():
        raise LabelerError(f"{target} is in the way and is no folder; export into another one.")
    if os.path.ismount(target):
        raise LabelerError(
            f"{target} is a mount point, which cannot be replaced as a whole; export into a "
            f"folder below it, {target / 'mvps'} say."
        )
    names = {path.name for path in target.iterdir()}
    if names and not has_clips_table(target):
        raise LabelerError(
            f"{target} is not empty and is no dataset of an earlier export (it has no clips.csv "
            "of the MVPS layout); nothing was touched, export into another folder."
        )
    if extra := sorted(names - OURS):
        raise LabelerError(
            f"{target} also holds {', '.join(extra[:5])}, which an export would remove; move that "
            "elsewhere, or export into another folder."
        )


def _write_full(
    workspace: Workspace,
    parts: Sequence[_Part],
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write the full resolution: the workspace's pictures byte for byte, and the masks anew."""
    total = 2 * sum(part.clip.frame_count + len(part.revisions) for part in parts)
    for done, _ in enumerate(call_all(_jobs(workspace, parts, folder)), start=1):
        if progress is not None:
            progress(done, total)


def _jobs(
    workspace: Workspace, parts: Sequence[_Part], folder: Path
) -> Iterator[Callable[[], None]]:
    for part in parts:
        pictures = picture_tree(folder, FULL) / part.clip.name
        masks = mask_tree(folder, FULL) / part.clip.name
        pictures.mkdir(parents=True)
        masks.mkdir(parents=True)
        source = workspace.frames(part.clip).folder
        for index in range(part.clip.frame_count):
            name = f"{frame_name(index)}.jpg"
            yield partial(_copy_picture, source / name, pictures / name)
        for revision in part.revisions:
            target = masks / f"{frame_name(revision.frame)}.png"
            yield partial(_write_mask, workspace, revision, target)


def _copy_picture(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)  # never a link: a dataset must outlive the workspace
    except FileNotFoundError:
        raise LabelerError(
            f"{source} is missing; run `mvps doctor` to see what else is damaged."
        ) from None


def _write_mask(workspace: Workspace, revision: Revision, target: Path) -> None:
    mask = workspace.read(revision)
    if mask_digest(mask) != revision.digest:
        raise LabelerError(
            f"{workspace.mask_path(revision)} was changed after it was recorded; "
            "run `mvps doctor` and bring back a copy."
        )
    target.write_bytes(encode_mask(mask))


def _row(part: _Part) -> ClipRow:
    clip = part.clip
    return ClipRow(
        name=clip.name,
        scenario=clip.scenario,
        frames=clip.frame_count,
        annotated=len(part.revisions),
        fps=clip.fps,
        width=clip.width,
        height=clip.height,
        source=clip.source,
        sha256=clip.sha256,
        licence=clip.licence,
    )
