"""A folder that is replaced as a whole, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labeler.errors import LabelerError
from labeler.files import lock_if_dead, scratch_folder, sync_folder


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `target` once the block has succeeded.

    Until then, and after any failure, `target` is as it was. The new folder is prepared in
    `.<target>.partial` beside it. A process killed there leaves that behind; the next `replacing`
    of the same target removes it, and first puts the old folder back if the kill came in the
    instant between the two renames.

    Raises:
        LabelerError: the files cannot be written, or the target cannot be replaced.
    """
    target = target.resolve()
    partial = target.parent / f".{target.name}.partial"
    try:
        _sweep(partial, target)
        with scratch_folder(partial) as scratch:
            new = scratch / "new"
            new.mkdir()
            yield new
            os.sync()  # thousands of files: one call for all of them
            _swap(target, new, aside=scratch / "old")
            sync_folder(target.parent)
    except OSError as error:
        raise LabelerError(
            f"{target} could not be written ({error}); what was there before is unchanged."
        ) from error
    finally:
        with suppress(OSError):  # another process may be preparing its own in there
            partial.rmdir()


def _swap(target: Path, new: Path, aside: Path) -> None:
    try:
        if target.exists():
            target.rename(aside)
        new.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise


def _sweep(partial: Path, target: Path) -> None:
    """Remove what killed processes left; leave alone what a live one is writing."""
    for leftover in sorted(partial.glob("*/")):
        with lock_if_dead(leftover) as dead:
            if dead:
                if (leftover / "old").exists() and not target.exists():
                    (leftover / "old").rename(target)
                shutil.rmtree(leftover)
