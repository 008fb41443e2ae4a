"""Compares the rows of a workspace with its files, and repairs what killed processes left."""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from labeler.clip import Clip, frame_name
from labeler.errors import LabelerError
from labeler.files import lock_if_dead
from labeler.mask import mask_digest, read_mask, read_note
from labeler.revision import Revision
from labeler.workspace.rows import insert_clip, insert_revision
from labeler.workspace.troubles import Troubles
from labeler.workspace.workspace import WITHDRAWN, Workspace


def open_workspace(root: Path, database_url: str | None = None) -> tuple[Workspace, list[str]]:
    """Open the workspace at `root`, repair what killed processes left, and return what that was.

    Raises:
        LabelerError: `root` cannot be made, or the database cannot be opened.
    """
    workspace = Workspace(root, database_url)
    return workspace, mend(workspace)


MENDING = "start"
"""The work of `mend`, as a trouble names it."""


def mend(workspace: Workspace) -> list[str]:
    """Finish or undo what killed processes left half done; return a sentence for each.

    Cheap enough for every start: it looks only at pending files and at the names of the clip
    folders. Files of live processes are left alone. An item that cannot be mended stays where it
    is as a trouble (see labeler.workspace.troubles), and everything else goes on.
    """
    notices: list[str] = []
    troubles = Troubles(workspace.database)
    known = {clip.name for clip in workspace.clips()}
    found = [
        *((path, _adopt_clip) for path in _inside(workspace.root / "clips", but=known)),
        *((path, _finish) for path in _inside(workspace.pending)),
    ]
    for path, act in found:
        with troubles.apart(MENDING, str(path), MOVE), lock_if_dead(path) as dead:
            if dead:
                notices += act(workspace, path)
    troubles.keep_only(MENDING, {str(path) for path, _ in found})
    return notices + [each.sentence for each in troubles.listed(MENDING)]


MOVE = "it stays where it is; move it out of the workspace if you do not need it"


def _inside(folder: Path, but: Collection[str] = ()) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name not in but)


def _finish(workspace: Workspace, path: Path) -> list[str]:
    """Finish or undo one thing that was being written when its process was killed."""
    if not path.is_dir():
        return _finish_mask(workspace, path)
    shutil.rmtree(path)
    return ["Removed what an interrupted `mvps add` or `mvps import` had left; run it again."]


def adopt_masks(workspace: Workspace, clip: Clip) -> list[str]:
    """Insert a row for each mask file without one, from its note; return a sentence for each."""
    notices = []
    with workspace.database.writing() as connection:  # no mask in the middle of `record` is seen
        known = {(r.frame, r.number) for r in workspace.revisions(clip)}
        for path, revision in _masks_below(workspace.clip_folder(clip.name)):
            if revision is None:
                notices.append(_not_ours(path))
            elif (revision.frame, revision.number) not in known:
                try:
                    with connection.begin_nested():
                        insert_revision(connection, revision)
                except (ValueError, sa.exc.StatementError):
                    notices.append(_not_ours(path))
                else:
                    notices.append(f"Took in {path} ({revision.provenance.name.lower()}).")
    return notices


def faults(workspace: Workspace, *, deep: bool = False) -> list[str]:
    """List what is missing or damaged in a workspace, one sentence each; nothing is changed.

    Args:
        workspace: the workspace to look at.
        deep: also read every mask and compare it with its digest.
    """
    found = []
    for clip in workspace.clips():
        folder = workspace.clip_folder(clip.name)
        present = {path.name for path in (folder / "frames").glob("*.jpg")}
        missing = [
            name
            for index in range(clip.frame_count)
            if (name := f"{frame_name(index)}.jpg") not in present
        ]
        if missing:
            found.append(
                f"{folder / 'frames' / missing[0]} is missing ({len(missing)} frames in all); "
                f"bring the folder back from a copy."
            )
        revisions = workspace.revisions(clip)
        known = {workspace.mask_path(revision) for revision in revisions}
        on_disk = set((folder / "masks").glob("*/*.png"))
        found += [
            f"{path} is missing; bring it back from a copy." for path in sorted(known - on_disk)
        ]
        found += [
            f"{path} has no row; `mvps doctor --mend` takes it in."
            for path in sorted(on_disk - known)
        ]
        if deep:
            found += _damaged(
                workspace, [r for r in revisions if workspace.mask_path(r) in on_disk]
            )
    return found


def _damaged(workspace: Workspace, revisions: list[Revision]) -> list[str]:
    found = []
    for revision in revisions:
        try:
            digest = mask_digest(workspace.read(revision))
        except LabelerError as error:
            found.append(str(error))
        else:
            if digest != revision.digest:
                path = workspace.mask_path(revision)
                found.append(f"{path} was changed after it was recorded; bring back a copy.")
    return found


def _adopt_clip(workspace: Workspace, folder: Path) -> list[str]:
    """Insert the row of a complete clip folder, whose process was killed just before that."""
    try:
        clip = Clip.from_json((folder / "clip.json").read_text())
    except (OSError, ValueError, KeyError, TypeError):
        raise LabelerError("it is no clip of ours and was left alone") from None
    if clip.name != folder.name or not (folder / "frames").is_dir():
        raise LabelerError(f"it does not hold clip {clip.name!r} and was left alone")
    with workspace.database.writing() as connection:
        if clip.name in {known.name for known in workspace.clips()}:
            return []  # its process has inserted the row since
        found = list(_masks_below(folder))
        masks = [revision for _, revision in found if revision is not None]
        insert_clip(connection, clip, masks)
    notices = [
        f"Took in clip {clip.name} with {len(masks)} masks, which the database did not know."
    ]
    foreign = [path for path, revision in found if revision is None]
    return notices + [_not_ours(path) for path in foreign]


def _masks_below(clip_folder: Path) -> Iterator[tuple[Path, Revision | None]]:
    """Yield a clip's mask files with their revisions; None if one is incomplete or not ours."""
    for path in sorted((clip_folder / "masks").glob("*/*.png")):
        revision = _revision_of(path)
        if revision is not None and path.with_suffix(WITHDRAWN).exists():
            revision = replace(revision, withdrawn=True)
        yield path, revision


def _not_ours(path: Path) -> str:
    return f"{path} is no mask of ours and was left alone; move it elsewhere."


def _finish_mask(workspace: Workspace, pending: Path) -> list[str]:
    """Record a pending mask if it is complete; return a sentence on what happened, if any."""
    news = _revision_of(pending)
    if news is None:
        pending.unlink()
        return ["Dropped a mask that a killed process had not finished writing."]
    name = f"{news.clip} frame {news.frame} ({news.provenance.name.lower()})"
    try:
        clip = workspace.clip(news.clip)
    except LabelerError:
        raise LabelerError(f"it is a mask of {name}, a clip that is not here") from None
    numbers = {revision.number for revision in workspace.revisions(clip, news.frame)}
    masks = workspace.clip_folder(clip.name) / "masks" / frame_name(news.frame)
    for path in masks.glob("*.png"):
        if path.samefile(pending):
            number = int(path.stem)
            if number not in numbers:
                with workspace.database.writing() as connection:
                    insert_revision(connection, replace(news, number=number))
            break
    else:
        number = 0
        workspace.adopt_mask(pending, news)
    pending.unlink()
    return (
        []
        if number in numbers
        else [f"Finished recording the mask of {name}, which a killed process had begun."]
    )


def _revision_of(path: Path) -> Revision | None:
    """Read a mask file's revision, numbered by its name; None if incomplete or not ours."""
    note = read_note(path)
    number = int(path.stem) if path.stem.isdecimal() else 0
    try:
        read_mask(path)
        return None if note is None else Revision.from_note(note, number)
    except LabelerError:
        return None
