"""The workspace: one folder and one database with all clips and masks."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from labeler.clip import Clip, FrameFolder, frame_name
from labeler.errors import AlreadyInError, LabelerError
from labeler.files import hold, scratch_folder, sync_folder, write_atomically
from labeler.mask import Mask, encode_mask, mask_digest, read_mask
from labeler.reference import Reference, ReferenceBook
from labeler.revision import Draft, Provenance, Revision, already_recorded, counting
from labeler.workspace import tables
from labeler.workspace.rows import insert_clip, insert_revision, revisions_of

WITHDRAWN = ".withdrawn"
"""The suffix of the empty file beside a mask that its maker took back."""


class Recorded(NamedTuple):
    """A mask's revision, and all revisions of its frame at the moment it was recorded, by number.

    The revision is the new one, or the earlier one that made it unnecessary to record another.
    """

    revision: Revision
    revisions: Sequence[Revision]


class Workspace:
    """The clips and the masks of one labeling effort.

    On disk::

        mvps.db                                  what is known, SQLite in WAL mode
        clips/<clip>/clip.json                   the clip's row, so that the folder explains itself
        clips/<clip>/frames/00000.jpg            every sampled frame, full resolution
        clips/<clip>/masks/00005/<number>.png    append-only; each file says who made it
        clips/<clip>/masks/00005/<number>.withdrawn   beside one that its maker took back
        pending/                                 what is being written at this moment

    Several processes may use one workspace at once. A clip or a mask gets its row only when its
    files are complete on disk; the next start repairs what a killed process left in between (see
    labeler.workspace.integrity.open_workspace).
    """

    def __init__(self, root: Path, database_url: str | None = None) -> None:
        """Open the workspace at `root`, making it if there is none.

        Raises:
            LabelerError: `root` cannot be made, or the database cannot be opened.
        """
        self.root = root
        try:
            self.pending.mkdir(parents=True, exist_ok=True)
            (root / "clips").mkdir(exist_ok=True)
            self.database = tables.Database(
                database_url or f"sqlite:///{(root / 'mvps.db').resolve()}"
            )
        except OSError as error:
            raise LabelerError(
                f"{root} cannot be a workspace ({error}); choose another folder with -w."
            ) from None

    @property
    def pending(self) -> Path:
        """The folder for files that are not recorded yet."""
        return self.root / "pending"

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # Clips

    def clips(self) -> list[Clip]:
        """List every clip, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(tables.clips).order_by(tables.clips.c.name))
            return [Clip(**row._mapping) for row in rows]

    def clip(self, name: str) -> Clip:
        """Return the clip of that name.

        Raises:
            LabelerError: there is none; the message lists some that there are.
        """
        if name.isascii() and name.isprintable():  # some databases refuse other text
            query = sa.select(tables.clips).where(tables.clips.c.name == name)
            with self.database.reading() as connection:
                row = connection.execute(query).first()
            if row is not None:
                return Clip(**row._mapping)
        known = ", ".join(clip.name for clip in self.clips()[:10]) or "none yet"
        raise LabelerError(f"There is no clip {name!r} in {self.root}; there are: {known}.")

    def known(self, name: str, sha256: str) -> list[Clip]:
        """List the clips of that name or made from that source, the latter first."""
        table = tables.clips
        query = sa.select(table).where((table.c.name == name) | (table.c.sha256 == sha256))
        with self.database.reading() as connection:
            clips = [Clip(**row._mapping) for row in connection.execute(query)]
        return sorted(clips, key=lambda clip: clip.sha256 != sha256)

    def clips_of(self, sha256: str) -> list[Clip]:
        """List the clips that were made from one source, by name."""
        table = tables.clips
        query = sa.select(table).filter_by(sha256=sha256).order_by(table.c.name)
        with self.database.reading() as connection:
            return [Clip(**row._mapping) for row in connection.execute(query)]

    def refuse_known(self, name: str, sha256: str, part: range | None = None) -> None:
        """Refuse a clip whose name is taken, or whose `part` of its source is in already.

        `part` is the range of the source's sampled frames that the clip has; None means all.

        Raises:
            AlreadyInError: a clip has some of these frames; the message names it.
            LabelerError: a clip of another source or part has the name; the message says which.
        """
        for clip in self.known(name, sha256):
            if clip.sha256 == sha256 and (part is None or _overlap(clip.part, part)):
                raise AlreadyInError(
                    f"This video is in the workspace already, as clip {clip.name!r} "
                    f"(from {clip.source}); nothing was added."
                )
            if clip.name == name:
                raise LabelerError(
                    f"There is already a clip {name!r} (from {clip.source}); "
                    "give this one another name with --name, or in the table's column `name`."
                )

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a folder to prepare a clip in; removed later unless `add_clip` took it."""
        with scratch_folder(self.pending) as folder:
            yield folder

    def add_clip(self, clip: Clip, folder: Path, revisions: Sequence[Revision] = ()) -> None:
        """Add a prepared `folder`, which holds `frames/`, as `clip`: completely or not at all.

        Args:
            clip: the clip in the folder.
            folder: a folder from `scratch`.
            revisions: its masks of key frames; each file is where `mask_path` says, with its note.

        Raises:
            AlreadyInError: a clip with these frames of the source is in already.
            LabelerError: the name is taken.
        """
        write_atomically(folder / "clip.json", clip.to_json().encode())
        os.sync()  # thousands of frames: one call for all of them
        with self.database.writing() as connection:
            self.refuse_known(clip.name, clip.sha256, clip.part)
            target = self.clip_folder(clip.name)
            if target.exists():
                raise LabelerError(
                    f"{target} is in the way of clip {clip.name!r}; move it elsewhere."
                )
            folder.rename(target)
            sync_folder(self.root / "clips")
            insert_clip(connection, clip, revisions)

    def clip_folder(self, name: str) -> Path:
        """Return the folder of a clip's files."""
        return self.root / "clips" / name

    def frames(self, clip: Clip) -> FrameFolder:
        """Return the clip's pictures, which are read on access."""
        folder = self.clip_folder(clip.name) / "frames"
        key = f"{clip.sha256}:{clip.first_frame}"
        return FrameFolder(folder, clip.frame_count, key, clip.stride)

    # Masks

    def record(self, clip: Clip, frame: int, mask: Mask, draft: Draft) -> Revision:
        """Append a person's mask to a key frame's revisions, and return its revision.

        See `append`, which also returns the other revisions of the frame.
        """
        return self.append(clip, frame, mask, draft).revision

    def record_prediction(
        self,
        clip: Clip,
        frame: int,
        mask: Mask,
        *,
        model_version: str,
        references: str,
        uncertainty: float,
    ) -> Revision | None:
        """Append a network's mask to a key frame's revisions, unless a person has masked it.

        Returns:
            The new revision, or None if a person's mask was there first.

        Raises:
            LabelerError: the frame is no key frame of the clip, or the mask has another size.
        """
        draft = Draft(
            provenance=Provenance.PREDICTED,
            model_version=model_version,
            references=references,
            uncertainty=uncertainty,
        )
        revision = self.append(clip, frame, mask, draft).revision
        return None if revision.provenance.human else revision

    def append(self, clip: Clip, frame: int, mask: Mask, draft: Draft) -> Recorded:
        """Append a mask to a key frame's revisions; nothing that was there is changed.

        Args:
            clip: the clip.
            frame: the key frame.
            mask: the mask, H x W bool.
            draft: who made it, and what else to record with it.

        Returns:
            The new revision, or an earlier one that makes it unnecessary: the same state of the
            same annotation; without an annotation, the same mask by the same person with the same
            look; for a prediction, a person's mask. With it, all revisions of the frame.

        Raises:
            LabelerError: the frame is no key frame of the clip, or the mask has another size.
        """
        if frame not in clip.key_frames:
            raise LabelerError(
                f"Frame {frame} of {clip.name} is no key frame; key frames are every "
                f"{clip.stride}th from 0 to {clip.key_frames[-1]}."
            )
        if mask.shape != (clip.height, clip.width):
            raise LabelerError(
                f"A mask of {mask.shape[1]}x{mask.shape[0]} cannot belong to {clip.name}, whose "
                f"frames are {clip.width}x{clip.height}."
            )
        news = Revision(
            clip=clip.name,
            frame=frame,
            number=0,
            provenance=draft.provenance,
            author=draft.author,
            model_version=draft.model_version,
            references=draft.references,
            uncertainty=draft.uncertainty,
            digest=mask_digest(mask),
            area=int(mask.sum()),
            created=draft.submitted or self._now(clip, frame, draft.provenance.human),
            annotation=draft.annotation,
            look=draft.look,
            judges=draft.judges,
            reason=draft.reason,
            lead_time=draft.lead_time,
        )
        with hold(self.pending / f"{uuid4().hex}.png", encode_mask(mask, news.to_note())) as file:
            return self.adopt_mask(file, news)

    def _now(self, clip: Clip, frame: int, human: bool) -> datetime:
        """Return the present time, but for a person's mask later than all that the frame has.

        After the clock was set back, what comes later must still count as later.
        """
        now, earlier = datetime.now(UTC), list[Revision]()
        if not human:  # predictions are in the order of their numbers
            return now
        with suppress(tables.DatabaseAwayError):  # the mask is kept as a file all the same
            earlier = self.revisions(clip, frame)
        return max([now, *(each.created + timedelta(microseconds=1) for each in earlier)])

    def adopt_mask(self, file: Path, news: Revision) -> Recorded:
        """Record a pending mask file under the frame's next number.

        The decision whether it is new is made here, inside the transaction, by the revisions that
        the frame has then: a prediction gives way to a person's mask, and no person's mask is
        recorded twice.
        """
        with self.database.writing() as connection:
            rows = connection.execute(revisions_of(news.clip, news.frame)).all()
            earlier = [Revision(**row._mapping) for row in rows]
            if (known := already_recorded(news, earlier)) is not None:
                return Recorded(known, earlier)
            number = earlier[-1].number + 1 if earlier else 1
            path = self.mask_path(replace(news, number=number))
            path.parent.mkdir(parents=True, exist_ok=True)
            while path.exists():  # a file without a row is kept; `mvps doctor` reports it
                number += 1
                path = self.mask_path(replace(news, number=number))
            path.hardlink_to(file)
            sync_folder(path.parent)
            revision = replace(news, number=number)
            insert_revision(connection, revision)
        return Recorded(revision, [*earlier, revision])

    def withdraw(self, clip: Clip, frame: int, annotation: str) -> bool:
        """Withdraw the masks that came with an annotation: they stay, but no longer count.

        Returns:
            Whether any mask was withdrawn.
        """
        table = tables.revisions
        with self.database.writing() as connection:
            taken_back = [
                Revision(**row._mapping)
                for row in connection.execute(revisions_of(clip.name, frame))
                if row.annotation == annotation and not row.withdrawn
            ]
            for revision in taken_back:
                path = self.mask_path(revision)
                path.with_suffix(WITHDRAWN).touch()
                sync_folder(path.parent)
            connection.execute(
                sa.update(table)
                .where(table.c.clip == clip.name, table.c.frame == frame)
                .where(table.c.annotation == annotation)
                .values(withdrawn=True)
            )
        return bool(taken_back)

    def mask_path(self, revision: Revision) -> Path:
        """Return the path of a revision's mask."""
        folder = self.clip_folder(revision.clip) / "masks" / frame_name(revision.frame)
        return folder / f"{revision.number}.png"

    def read(self, revision: Revision) -> Mask:
        """Read a revision's mask, H x W bool.

        Raises:
            LabelerError: its file is missing or damaged.
        """
        return read_mask(self.mask_path(revision))

    def revisions(self, clip: Clip, frame: int | None = None) -> list[Revision]:
        """List every revision of a clip, or of one of its frames, by frame and number."""
        with self.database.reading() as connection:
            rows = connection.execute(revisions_of(clip.name, frame))
            return [Revision(**row._mapping) for row in rows]

    def revisions_by_frame(self, clip: Clip) -> dict[int, list[Revision]]:
        """Group a clip's revisions by masked key frame, each in order of number."""
        by_frame: dict[int, list[Revision]] = {}
        for revision in self.revisions(clip):
            by_frame.setdefault(revision.frame, []).append(revision)
        return by_frame

    def current(self, clip: Clip) -> dict[int, Revision]:
        """Find the revision that counts for each masked key frame: a person's, else the newest."""
        return {
            frame: latest
            for frame, revisions in self.revisions_by_frame(clip).items()
            if (latest := counting(revisions)) is not None
        }

    def references(
        self, clip: Clip, current: Mapping[int, Revision] | None = None
    ) -> ReferenceBook:
        """Return the clip's references: every frame whose mask is a person's.

        Args:
            clip: the clip.
            current: the result of `current`, if the caller has it already.
        """
        current = self.current(clip) if current is None else current
        return ReferenceBook(
            Reference(revision.frame, revision.digest, partial(self.read, revision))
            for revision in current.values()
            if revision.provenance.human
        )


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop
