"""Locked clips: the clips of a workspace that only test networks and never train them.

On disk, below the workspace::

    locked/lists.json       the clips to train on and to test on, and the source of each
    locked/<clip>.npy       the thumbnails of a test clip's frames, see `labeler.likeness`
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from labeler.clip import frame_name
from labeler.errors import LabelerError
from labeler.files import write_atomically
from labeler.layouts.clips_table import ClipRow
from labeler.likeness import Thumbnails, read_thumbnails, thumbnails_of, write_thumbnails
from labeler.publish.split import TEST_SHARE, Split, published_lists, split_clips
from labeler.revision import Provenance
from labeler.workspace.workspace import Workspace

LISTS = "lists.json"


@dataclass(frozen=True)
class Locked:
    """The lists of clips to train on and to test on; a clip never changes its list.

    `sources` has (SHA-256, name) of the source of each clip in a list. So a clip of the same source
    comes into the same list, even if the first clip is gone.
    """

    split: Split = field(default_factory=Split)
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)


def read_locked(workspace: Path) -> Locked:
    """Read the lists of a workspace; they are empty if none were drawn yet.

    Raises:
        LabelerError: the lists are damaged.
    """
    path = workspace / "locked" / LISTS
    try:
        found = json.loads(path.read_text())
        sources = {name: (str(digest), str(of)) for name, (digest, of) in found["sources"].items()}
        return Locked(Split(tuple(found["train"]), tuple(found["test"])), sources)
    except FileNotFoundError:
        return Locked()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelerError(
            f"{path} does not say which clips are locked ({error}); put back a copy, because new "
            "lists would test on clips that were trained on."
        ) from None


def draw_locked(workspace: Workspace, test_share: float = TEST_SHARE) -> Locked:
    """Put each clip with accepted masks that is in no list yet into one, and return the lists.

    The lists are drawn as by `mvps split` and `mvps export` (see `split_clips`), so the same clips
    give the same lists. Clips of an imported dataset stay in its lists.

    Raises:
        LabelerError: the share is not within 0 and 1, or the lists are damaged.
    """
    known = read_locked(workspace.root)
    rows = {name: _row(name, digest, source) for name, (digest, source) in known.sources.items()}
    clips = workspace.clips()
    for clip in clips:
        current = workspace.current(clip).values()
        if any(each.provenance is Provenance.ACCEPTED for each in current):
            rows[clip.name] = _row(clip.name, clip.sha256, clip.source)
    if not rows:
        return known
    split = split_clips(
        rows.values(), test_share, keep=known.split.extended(published_lists(clips))
    )
    drawn = Locked(split, {row.name: (row.sha256, row.source) for row in rows.values()})
    folder = workspace.root / "locked"
    folder.mkdir(exist_ok=True)
    for name in split.test:
        if not (folder / f"{name}.npy").exists():
            _write_thumbnails(workspace, folder, name)
    if drawn != known:
        lists = {"train": split.train, "test": split.test, "sources": drawn.sources}
        write_atomically(folder / LISTS, (json.dumps(lists, indent=2) + "\n").encode())
    return drawn


def locked_thumbnails(workspace: Path) -> dict[str, Thumbnails]:
    """Read the thumbnails of each test clip's frames, by clip."""
    names = read_locked(workspace).split.test
    return {name: read_thumbnails(workspace / "locked" / f"{name}.npy") for name in names}


def _write_thumbnails(workspace: Workspace, folder: Path, name: str) -> None:
    clip = workspace.clip(name)
    frames = workspace.frames(clip).folder
    looks = thumbnails_of(frames / f"{frame_name(i)}.jpg" for i in range(clip.frame_count))
    write_thumbnails(folder / f"{name}.npy", looks)


def _row(name: str, digest: str, source: str) -> ClipRow:
    return ClipRow(name, None, 0, 0, None, 0, 0, source, digest)
