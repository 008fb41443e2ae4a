"""A folder that is replaced as a whole, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from labeler.errors import LabelerError
from labeler.files import lock_if_dead, scratch_folder, sync_folder


@contextmanager
def replacing(target: Path, *, resume: bool = False) -> Iterator[Path]:
    """Give an empty folder that takes the place of `target` once the block has succeeded.

    Until then, and after any failure, `target` is as it was. The new folder is prepared in
    `.<target>.partial` beside it. A process killed there leaves that behind; the next `replacing`
    of the same target removes it, and first puts the old folder back if the kill came in the
    instant between the two renames.

    With `resume` the folder is not empty but what the last such block had prepared when it failed
    or was killed, and perhaps half a file; and what this block prepares stays if it fails. What
    tells whole files from half ones may lie beside the folder, and goes when it does.

    Raises:
        LabelerError: the files cannot be written, or the target cannot be replaced.
    """
    target = target.resolve()
    partial = target.parent / f".{target.name}.partial"
    try:
        with ExitStack() as held:
            scratch = _sweep(partial, target, held if resume else None)
            if scratch is None:
                scratch = held.enter_context(scratch_folder(partial, keep_unfinished=resume))
            new = scratch / "new"
            new.mkdir(exist_ok=True)
            yield new
            os.sync()  # thousands of files: one call for all of them
            _swap(target, new, aside=scratch / "old")
            sync_folder(target.parent)
            shutil.rmtree(scratch, ignore_errors=True)
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


def _sweep(partial: Path, target: Path, held: ExitStack | None) -> Path | None:
    """Remove what killed processes left; leave alone what a live one is writing.

    With `held`, one of the things left that can be gone on with stays, and stays locked: it is
    given back.
    """
    taken = None
    for leftover in sorted(partial.glob("*/")):
        with ExitStack() as lock:
            if not lock.enter_context(lock_if_dead(leftover)):
                continue
            if (leftover / "old").exists() and not target.exists():
                (leftover / "old").rename(target)
            if held is not None and taken is None and (leftover / "new").is_dir():
                held.enter_context(lock.pop_all())
                taken = leftover
            else:
                shutil.rmtree(leftover)
    return taken
