"""Atomic writing of files and folders, and locks that show which process is still writing."""

import errno
import fcntl
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from labeler.errors import LabelerError, NoRoomError


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all: temporary file beside it, fsync, rename."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_once(path: Path, text: str) -> None:
    """Write a file that only its owner can ever read, whole; an existing file stays as it is."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first
            path.hardlink_to(file.name)
    sync_folder(path.parent)


def is_full(error: BaseException | None) -> bool:
    """Tell whether an error, or one that it comes from, says that a disk or a quota is full."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        if isinstance(error, shutil.Error) and os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__
    return False


def reason_of(error: OSError) -> str:
    """Return why a file could not be written or read, in the system's few words."""
    if isinstance(error, shutil.Error):  # of copytree: a list of what failed, each as a text
        return os.strerror(errno.ENOSPC) if is_full(error) else "a file could not be copied"
    return error.strerror or type(error).__name__


@contextmanager
def told_if_full(folder: Path, what_then: str) -> Iterator[None]:
    """Turn the errors of a full disk into one sentence, which ends with what to do then.

    Raises:
        NoRoomError: the disk of `folder` is full.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        raise NoRoomError(f"The disk of {folder} is full: {what_then}.") from error


def sync_folder(folder: Path) -> None:
    """Make the names inside `folder` (new files, renames) survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes, as 64 hex digits; the file is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def scratch_folder(parent: Path, *, keep_unfinished: bool = False) -> Iterator[Path]:
    """Yield a new folder below `parent`, which is locked while in use and removed afterwards.

    A killed process leaves the folder behind but not the lock, so `lock_if_dead` can tell it from
    a folder in use. To keep the content, move the folder away inside the block. With
    `keep_unfinished`, the folder also stays, as after a kill, if the block fails.
    """
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent))
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():  # else a sweep came between the two lines above
            break
        os.close(handle)
    finished = False
    try:
        yield folder
        finished = True
    finally:
        if finished or not keep_unfinished:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


@contextmanager
def hold(path: Path, data: bytes) -> Iterator[Path]:
    """Write `data` to a new file, which is locked while in use and removed if the block succeeds.

    After a failure or a kill the file stays, without its lock, and `lock_if_dead` yields True.
    """
    while True:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():  # else somebody took it for dead between the two lines above
            break
        os.close(handle)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)
        yield path
        path.unlink()


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process at a time run the block; others that give the same `path` wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def lock_if_dead(path: Path) -> Iterator[bool]:
    """Lock a file or folder and yield True; yield False if a live process holds or removed it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield path.exists()  # its owner may just have finished with it
    finally:
        os.close(handle)


@contextmanager
def replacing(target: Path, *, resume: bool = False) -> Iterator[Path]:
    """Yield an empty folder that replaces `target` once the block has succeeded.

    Until then, and after any failure, `target` is as it was. The new folder is prepared in
    `.<target>.partial` beside it. A process killed there leaves that behind; the next `replacing`
    of the same target removes it, and first puts the old folder back if the kill came in the
    instant between the two renames.

    With `resume`, the folder is not empty: it holds what the last block with `resume` had prepared
    when it failed or was killed, where files may be incomplete. If this block fails, its files
    stay for the next one. A journal that tells complete files from incomplete ones may lie beside
    the folder; it is removed together with the folder.

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
            f"{target} could not be written ({reason_of(error)}); what was there before is "
            "unchanged. "
            + ("Make room" if is_full(error) else "Mend that")
            + ", and run the same command again."
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

    With `held`, one leftover folder that can be resumed is kept, stays locked, and is returned.
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
