"""One folder and one database: everything the tool knows."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from labeler.clip import Clip, FrameFolder, frame_name
from labeler.errors import AlreadyInError, LabelerError
from labeler.files import hold, scratch_folder, sync_folder, write_atomically
from labeler.mask import Mask, encode_mask, mask_digest, read_mask
from labeler.reference import Reference, ReferenceBook
from labeler.revision import Provenance, Revision, Shown, counting, recorded
from labeler.workspace import tables
from labeler.workspace.rows import insert_clip, insert_revision, revisions_of

WITHDRAWN = ".withdrawn"
"""Ends the name of the empty file beside a mask that its maker took back."""


class Workspace:
    """The clips and the masks of one labeling effort.

    On disk::

        mvps.db                                  what is known, SQLite in WAL mode
        clips/<clip>/clip.json                   the clip's row, so that the folder explains itself
        clips/<clip>/frames/00000.jpg            every sampled frame, full resolution
        clips/<clip>/masks/00005/<number>.png    append-only; each file says who made it
        clips/<clip>/masks/00005/<number>.withdrawn   beside one that its maker took back
        pending/                                 what is being written at this moment

    Several processes may use one workspace at once. A clip or a mask becomes known only when it
    is whole on disk; what a killed process left in between is set right at the next start (see
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
        except sa.exc.DBAPIError as error:
            raise LabelerError(
                f"The database of {root} cannot be opened ({error.orig}); put back a copy of "
                "mvps.db, or move it away: it is made anew from the files."
            ) from None

    @property
    def pending(self) -> Path:
        """Where files are before they are known."""
        return self.root / "pending"

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # Clips

    def clips(self) -> list[Clip]:
        """Every clip, by name."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(tables.clips).order_by(tables.clips.c.name))
            return [Clip(**row._mapping) for row in rows]

    def clip(self, name: str) -> Clip:
        """The clip of that name.

        Raises:
            LabelerError: there is none; the message lists those there are.
        """
        clips = self.clips()
        for clip in clips:
            if clip.name == name:
                return clip
        known = ", ".join(clip.name for clip in clips[:10]) or "none yet"
        raise LabelerError(f"There is no clip {name!r} in {self.root}; there are: {known}.")

    def known(self, name: str, sha256: str) -> list[Clip]:
        """The clip made from that source, if there is one, then the clip of that name."""
        table = tables.clips
        query = sa.select(table).where((table.c.name == name) | (table.c.sha256 == sha256))
        with self.database.reading() as connection:
            clips = [Clip(**row._mapping) for row in connection.execute(query)]
        return sorted(clips, key=lambda clip: clip.sha256 != sha256)

    def clips_of(self, sha256: str) -> list[Clip]:
        """The clips that were made from one source, by name."""
        return [clip for clip in self.clips() if clip.sha256 == sha256]

    def refuse_known(self, name: str, sha256: str, part: range | None = None) -> None:
        """Refuse a clip whose name is taken, or whose `part` of its source is in already.

        `part` are the sampled frames of the source that it has; all of them where it is None.

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
                    "give this one another with --name, or in the table's column `name`."
                )

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder to prepare a clip in; it is gone afterwards unless `add_clip` took it."""
        with scratch_folder(self.pending) as folder:
            yield folder

    def add_clip(self, clip: Clip, folder: Path, revisions: Sequence[Revision] = ()) -> None:
        """Take a prepared `folder`, holding `frames/`, in as `clip`: wholly or not at all.

        Args:
            clip: what the folder holds.
            folder: from `scratch`.
            revisions: its masks, of key frames; each lies where `mask_path` has it, with its note.

        Raises:
            AlreadyInError: these frames of its source are.
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
        """Where a clip's files are."""
        return self.root / "clips" / name

    def frames(self, clip: Clip) -> FrameFolder:
        """The clip's pictures, read when asked for."""
        folder = self.clip_folder(clip.name) / "frames"
        key = f"{clip.sha256}:{clip.first_frame}"
        return FrameFolder(folder, clip.frame_count, key, clip.stride)

    # Masks

    def record(
        self,
        clip: Clip,
        frame: int,
        mask: Mask,
        *,
        author: str,
        provenance: Provenance = Provenance.CORRECTED,
        annotation: str = "",
        submitted: datetime | None = None,
        look: Shown = Shown.LABEL,
        judges: tuple[int, ...] = (),
        reason: str = "",
    ) -> Revision:
        """Append a person's mask to a key frame's revisions; nothing that was there is changed.

        Args:
            clip: the clip.
            frame: the key frame.
            mask: the mask.
            author: who made it.
            provenance: how far it has come.
            annotation: the annotation it came with, if any.
            submitted: when that was submitted; now, where nothing is said.
            look: what that person was shown.
            judges: the numbers of the frame's masks that it is about.
            reason: what that person says of them.

        Returns:
            The new revision; or the one that is there already, if it is of the same state of the
            same annotation, or, without one, the same mask by the same person of the same look.

        Raises:
            LabelerError: the frame is no key frame of the clip, or the mask has another size.
        """
        revision = self._append(
            clip,
            frame,
            mask,
            author=author,
            provenance=provenance,
            annotation=annotation,
            created=submitted,
            look=look,
            judges=judges,
            reason=reason,
        )
        if revision is None:
            raise AssertionError("only a prediction can come too late")
        return revision

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
        return self._append(
            clip,
            frame,
            mask,
            provenance=Provenance.PREDICTED,
            model_version=model_version,
            references=references,
            uncertainty=uncertainty,
        )

    def _append(
        self,
        clip: Clip,
        frame: int,
        mask: Mask,
        *,
        provenance: Provenance,
        author: str = "",
        model_version: str = "",
        references: str = "",
        uncertainty: float | None = None,
        annotation: str = "",
        created: datetime | None = None,
        look: Shown = Shown.LABEL,
        judges: tuple[int, ...] = (),
        reason: str = "",
    ) -> Revision | None:
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
        draft = Revision(
            clip=clip.name,
            frame=frame,
            number=0,
            provenance=provenance,
            author=author,
            model_version=model_version,
            references=references,
            uncertainty=uncertainty,
            digest=mask_digest(mask),
            area=int(mask.sum()),
            created=created or datetime.now(UTC),
            annotation=annotation,
            look=look,
            judges=judges,
            reason=reason,
        )
        with hold(self.pending / f"{uuid4().hex}.png", encode_mask(mask, draft.to_note())) as file:
            return self.adopt_mask(file, draft)

    def adopt_mask(self, file: Path, draft: Revision) -> Revision | None:
        """Make a pending mask file known under the frame's next number.

        Whether it is news is decided here, inside the transaction: a prediction gives way to a
        person's mask, and no mask of a person is recorded twice.
        """
        with self.database.writing() as connection:
            rows = connection.execute(revisions_of(draft.clip, draft.frame)).all()
            earlier = [Revision(**row._mapping) for row in rows]
            latest = counting(earlier)
            if not draft.provenance.human and latest is not None and latest.provenance.human:
                return None
            if (known := recorded(draft, earlier, latest)) is not None:
                return known
            number = earlier[-1].number + 1 if earlier else 1
            path = self.mask_path(replace(draft, number=number))
            path.parent.mkdir(parents=True, exist_ok=True)
            while path.exists():  # a file without a row is kept; the doctor reports it
                number += 1
                path = self.mask_path(replace(draft, number=number))
            path.hardlink_to(file)
            sync_folder(path.parent)
            revision = replace(draft, number=number)
            insert_revision(connection, revision)
            return revision

    def withdraw(self, clip: Clip, frame: int, annotation: str) -> bool:
        """Let the masks that came with an annotation count no more; they stay where they are.

        Returns:
            Whether there were any that counted for something.
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
        """Where a revision's mask is."""
        folder = self.clip_folder(revision.clip) / "masks" / frame_name(revision.frame)
        return folder / f"{revision.number}.png"

    def read(self, revision: Revision) -> Mask:
        """A revision's mask, H x W bool.

        Raises:
            LabelerError: its file is missing or damaged.
        """
        return read_mask(self.mask_path(revision))

    def revisions(self, clip: Clip, frame: int | None = None) -> list[Revision]:
        """Every revision of a clip, or of one of its frames, by frame and number."""
        with self.database.reading() as connection:
            rows = connection.execute(revisions_of(clip.name, frame))
            return [Revision(**row._mapping) for row in rows]

    def revisions_by_frame(self, clip: Clip) -> dict[int, list[Revision]]:
        """Every revision of a clip, for each masked key frame in order of number."""
        by_frame: dict[int, list[Revision]] = {}
        for revision in self.revisions(clip):
            by_frame.setdefault(revision.frame, []).append(revision)
        return by_frame

    def current(self, clip: Clip) -> dict[int, Revision]:
        """The revision that counts for each masked key frame: a person's, else the newest."""
        return {
            frame: latest
            for frame, revisions in self.revisions_by_frame(clip).items()
            if (latest := counting(revisions)) is not None
        }

    def references(self, clip: Clip) -> ReferenceBook:
        """The clip's references: every frame whose mask is a person's."""
        return ReferenceBook(
            Reference(revision.frame, revision.digest, partial(self.read, revision))
            for revision in self.current(clip).values()
            if revision.provenance.human
        )


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop
