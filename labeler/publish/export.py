"""Exports a workspace as a dataset in the MVPS layout."""

import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.files import replacing, sha256_of
from labeler.layouts.clips_table import ClipRow, format_clips, has_clips_table
from labeler.layouts.mvps import FULL, SMALL, mask_tree, picture_tree
from labeler.publish.ledger import Ledger, Made, write_ledger
from labeler.publish.manifest import MANIFEST, files, write_manifest
from labeler.publish.split import (
    TEST_SHARE,
    Split,
    parted_sources,
    published_lists,
    read_split,
    split_clips,
    write_split,
)
from labeler.publish.write_files import Damaged, Part, write_files
from labeler.revision import Provenance
from labeler.workspace.workspace import Workspace

OURS = {"JPEGImages", "Annotations", "ImageSets", "clips.csv", MANIFEST}
"""Everything an export writes into its folder."""


@dataclass(frozen=True)
class ExportReport:
    """The result of an export: what it wrote, and what it left out.

    `clips` are the names of the exported clips. `frames` and `masks` are the numbers of their
    pictures and masks, each of which exists at full resolution and at 480p. `left_out` has
    (clip, reason) for each clip that is not in the dataset. `written` is the number of files that
    were made now; the others were reused from the previous export. `mended` are the files that were
    made again because they had been changed or removed since that export. `parted` are the groups
    of clips of one source video that are in both lists, because earlier lists had them so. `moved`
    are the clips that are in another list than in the dataset from which they were imported.
    `damaged` are the clips that are left out because a file of theirs is missing or damaged.
    """

    clips: tuple[str, ...]
    frames: int
    masks: int
    left_out: tuple[tuple[str, str], ...]
    written: int
    mended: tuple[str, ...] = ()
    parted: tuple[tuple[str, ...], ...] = ()
    moved: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListPlan:
    """How an export divides its clips into the lists of train and test.

    `test_share` is the share of the clips to test on, `seed` is the seed of the split, and
    `stratified` gives each scenario its own share of test clips (see `split_clips`). `keep` is a
    dataset whose lists are kept for the clips that are in them; None keeps the lists of the dataset
    that is replaced, or `earlier`, if that dataset has another layout (see `earlier_lists`). `anew`
    keeps no lists, and all clips are drawn again.
    """

    test_share: float = TEST_SHARE
    seed: int = 0
    stratified: bool = False
    keep: Path | None = None
    anew: bool = False
    earlier: Split = field(default_factory=Split)


def export_mvps(
    workspace: Workspace,
    target: Path,
    *,
    clips: Sequence[str] | None = None,
    include_unreviewed: bool = False,
    lists: ListPlan | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write a dataset in the MVPS layout; only a complete one replaces what `target` held.

    The same clips and masks give the same bytes. Who recorded them, in which order, and what was
    exported before makes no difference, except that a clip never changes its list. Files of the
    previous export to the same folder that have not changed are reused.

    Args:
        workspace: where the clips and masks are.
        target: the dataset's folder: a new one, an empty one, or that of an earlier export.
        clips: the names of the clips to export; all of them when None.
        include_unreviewed: export the mask that counts for each key frame even if it is not
            accepted, or is only a prediction.
        lists: how the clips are divided into train and test; `ListPlan()` when None.
        progress: called with (pictures and masks written, pictures and masks to write).

    Returns:
        What was written and what was left out: a clip without an exportable mask, or with a file
        that is missing or damaged.

    Raises:
        LabelerError: there is nothing to export, `target` holds something else, each clip has a
            file that is missing or damaged, or nothing can be written. `target` is unchanged.
    """
    refuse_foreign(target)
    chosen = (
        workspace.clips()
        if clips is None
        else [workspace.clip(name) for name in sorted(set(clips))]
    )
    parts, left_out = _choose(workspace, chosen, include_unreviewed)
    if not parts:
        raise LabelerError(_why_nothing(workspace, left_out))
    memory = _memory(workspace, target.resolve())
    earlier = Ledger.read(memory / "files.tsv") if target.exists() else Ledger()
    plan = lists or ListPlan()
    published = published_lists(workspace.clips())
    kept = Split() if plan.anew else _kept_lists(target, memory, plan, published)
    frames, masks = _counts(parts)
    damaged: dict[str, str] = {}
    made: dict[str, Made] = {}
    written, mended = 0, []
    with replacing(target) as folder:
        for done, pair in enumerate(
            write_files(workspace, parts, folder, target.resolve(), earlier), start=1
        ):
            if isinstance(pair, Damaged):
                damaged.setdefault(pair.clip, pair.why)
            for file in () if isinstance(pair, Damaged) else pair:
                made[file.name] = file.made
                written += not file.kept
                if file.mended:
                    mended.append(file.name)
            if progress is not None:
                progress(done, frames + masks)
        parts = [part for part in parts if part.clip.name not in damaged]
        if not parts:
            raise LabelerError(next(iter(damaged.values())))
        _take_out(folder, damaged, made)
        frames, masks = _counts(parts)
        rows = [_row(part) for part in parts]
        split = split_clips(rows, plan.test_share, plan.seed, stratified=plan.stratified, keep=kept)
        write_split(folder, split)
        (folder / "clips.csv").write_text(format_clips(rows), encoding="utf-8", newline="")
        digests = {name: each.sha256 for name, each in made.items()}
        for name in ("clips.csv", *files(folder, ["ImageSets"])):
            digests[name] = sha256_of(folder / name)
        write_manifest(folder, digests)
    with suppress(OSError, LabelerError):  # without these files the next export only takes longer
        _forget_the_gone(memory.parent)
        write_ledger(memory / "files.tsv", target.resolve(), made)
        write_split(memory, split.extended(kept))
        (memory / "folder").write_bytes(os.fsencode(target.resolve()))
    return ExportReport(
        clips=tuple(row.name for row in rows),
        frames=frames,
        masks=masks,
        left_out=(*left_out, *((name, why.rstrip(".")) for name, why in damaged.items())),
        written=written,
        mended=tuple(mended),
        parted=tuple(parted_sources(rows, split)),
        moved=_moved(published, split),
        damaged=tuple(damaged),
    )


def _counts(parts: Sequence[Part]) -> tuple[int, int]:
    """Count the frames and the masks of some clips."""
    return sum(part.clip.frame_count for part in parts), sum(len(p.revisions) for p in parts)


def _take_out(folder: Path, clips: Collection[str], made: dict[str, Made]) -> None:
    """Remove what was written of clips before a file of theirs turned out to be damaged."""
    for tree in (picture_tree, mask_tree):
        for resolution in (FULL, SMALL):
            for clip in clips:
                shutil.rmtree(tree(folder, resolution) / clip)
    for name in [name for name in made if Path(name).parent.name in clips]:
        del made[name]


def _memory(workspace: Workspace, target: Path) -> Path:
    """Return the folder in which the workspace remembers what it exported to `target`."""
    place = hashlib.sha256(os.fsencode(target)).hexdigest()[:16]
    return workspace.root / "exports" / place


def _forget_the_gone(memories: Path) -> None:
    """Remove what is remembered of exports whose folder no longer exists."""
    for folder in memories.glob("*/folder"):
        if not Path(os.fsdecode(folder.read_bytes())).exists():
            shutil.rmtree(folder.parent, ignore_errors=True)


def _kept_lists(target: Path, memory: Path, plan: ListPlan, published: Split) -> Split:
    """Return the lists to extend: those that the plan names, or of the export that is replaced.

    The latter include clips of earlier exports that are left out now. So a clip whose masks are no
    longer accepted returns to the same list later. A clip that is in neither stays in the list of
    the dataset from which it was imported.

    Raises:
        LabelerError: the named dataset has no lists, or a clip is in both lists.
    """
    if plan.keep is not None:
        named = read_split(plan.keep)
        if named is None:
            raise LabelerError(
                f"{plan.keep} has no ImageSets/train.txt or test.txt; name the folder of a dataset."
            )
        return named.extended(published)
    there = read_split(target)
    earlier = plan.earlier if there is None else there.extended(read_split(memory) or Split())
    return earlier.extended(published)


def _moved(published: Split, split: Split) -> tuple[str, ...]:
    """Name the clips that are in another list than in the dataset they were imported from."""
    to_test = set(published.train).intersection(split.test)
    return tuple(sorted(to_test.union(set(published.test).intersection(split.train))))


def _choose(
    workspace: Workspace, clips: Sequence[Clip], include_unreviewed: bool
) -> tuple[list[Part], tuple[tuple[str, str], ...]]:
    """Choose the clips that have masks to export, and give the reason for each other clip."""
    parts, left_out = [], []
    for clip in clips:
        current = workspace.current(clip)
        revisions = tuple(
            revision
            for _, revision in sorted(current.items())
            if include_unreviewed or revision.provenance is Provenance.ACCEPTED
        )
        if revisions:
            parts.append(Part(clip, revisions))
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


def refuse_foreign(target: Path, ours: Collection[str] = OURS) -> None:
    """Refuse a target that holds anything which no export wrote, because it would be deleted.

    Args:
        target: the folder to replace.
        ours: the names of everything that such an export writes into the folder.

    Raises:
        LabelerError: the target is a file, a mount point, or holds what no export wrote.
    """
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir():
        raise LabelerError(f"{target} is in the way and is not a folder; export into another one.")
    if os.path.ismount(target):
        raise LabelerError(
            f"{target} is a mount point, which cannot be replaced as a whole; export into a "
            f"folder below it, such as {target / 'mvps'}."
        )
    names = {path.name for path in target.iterdir()}
    if names and not has_clips_table(target):
        raise LabelerError(
            f"{target} is not empty and is no dataset of an earlier export (it has no clips.csv "
            "of the MVPS layout); nothing was touched, export into another folder."
        )
    if extra := sorted(names - set(ours)):
        raise LabelerError(
            f"{target} also holds {', '.join(extra[:5])}, which an export would remove; move that "
            "elsewhere, or export into another folder."
        )


def _row(part: Part) -> ClipRow:
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
        first_number=clip.first_number,
        number_step=clip.number_step,
    )
