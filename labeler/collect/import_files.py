"""Copies the pictures and masks of an imported clip, and checks them on the way."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from labeler.clip import Clip, encode_jpeg, frame_name, read_image
from labeler.errors import LabelerError
from labeler.images.opening import opened
from labeler.layouts.foreign import ForeignClip
from labeler.mask import encode_mask, mask_digest
from labeler.revision import Revision
from labeler.threads import call_all
from labeler.workspace.workspace import Workspace

_ORIENTATION = 0x0112  # the EXIF tag that turns a picture where it is shown


@dataclass(frozen=True)
class SeenMask:
    """A mask that was read: its future revision; `void` and `missing` are as in `ForeignMask`."""

    revision: Revision
    void: bool
    missing: str

    @property
    def frame(self) -> int:
        """The index of its frame in the clip."""
        return self.revision.frame


def pictures_digest(pictures: Iterable[Path]) -> str:
    """Compute the SHA-256 of a clip's pictures: of the files' bytes, one after the other, in order.

    Raises:
        LabelerError: a file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    for path in pictures:
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise LabelerError(
                f"{path} cannot be read ({error.strerror}); bring it back from a copy."
            ) from None
    return digest.hexdigest()


def already_there(workspace: Workspace, name: str, digest: str) -> Clip | None:
    """Find the clip of these pictures; None if there is none.

    Raises:
        LabelerError: another clip has the name.
    """
    for known in workspace.known(name, digest):
        frames = workspace.frames(known).folder
        own = (frames / f"{frame_name(index)}.jpg" for index in range(known.frame_count))
        if known.sha256 == digest or pictures_digest(own) == digest:
            return known
        raise LabelerError(
            f"There is already another clip {name!r} in the workspace (from {known.source}); "
            "give the clips of this dataset other names with --prefix."
        )
    return None


def take_pictures(found: ForeignClip, folder: Path) -> tuple[int, int]:
    """Copy a clip's pictures into a folder, numbered from 0; return their width and height.

    Raises:
        LabelerError: one is unreadable, cut off, of another size, or turned by an EXIF tag.
    """
    folder.mkdir()
    sources = list(found.pictures.values())
    sizes = list(
        call_all(
            partial(_take_picture, path, folder / f"{frame_name(place)}.jpg")
            for place, path in enumerate(sources)
        )
    )
    for path, size in zip(sources, sizes, strict=True):
        if size != sizes[0]:
            raise LabelerError(
                f"{path} is {size[0]}x{size[1]}, but the clip's first picture is "
                f"{sizes[0][0]}x{sizes[0][1]}; a clip has one size."
            )
    return sizes[0]


def read_masks(
    found: ForeignClip,
    places: Mapping[int, int],
    size: tuple[int, int],
    shared: Revision,
    folder: Path | None = None,
) -> list[SeenMask]:
    """Read a clip's masks, and write them below a folder if one is given.

    Args:
        found: the clip.
        places: the index in the clip of each picture number.
        size: (width, height) of its pictures, in pixels.
        shared: a revision with the fields that are the same for all masks.
        folder: the folder that becomes the clip's `masks`; None writes nothing.

    Raises:
        LabelerError: one is unreadable or of another size.
    """
    return list(
        call_all(
            partial(_read_mask, found, number, replace(shared, frame=places[number]), size, folder)
            for number in found.masks
        )
    )


def _take_picture(source: Path, target: Path) -> tuple[int, int]:
    """Copy a JPEG file's bytes, or encode another picture as JPEG; return its width and height."""
    with opened(source, "picture", "bring it back from a copy") as picture:
        size, jpeg = picture.size, picture.format in ("JPEG", "MPO")
        turned = picture.getexif().get(_ORIENTATION, 1) != 1
        picture.draft("L", (1, 1))  # reads the whole file, but decodes an eighth of each side
        picture.load()
    if turned:
        raise LabelerError(
            f"{source} has an EXIF tag that turns it when it is shown, but its mask is not turned; "
            "remove the tag (exiftool -Orientation=)."
        )
    if jpeg:
        shutil.copyfile(source, target)  # never a link: the dataset's owner may change the file
    else:
        target.write_bytes(encode_jpeg(read_image(source)))
    return size


def _read_mask(
    found: ForeignClip, number: int, shared: Revision, size: tuple[int, int], folder: Path | None
) -> SeenMask:
    read = found.masks[number]()
    height, width = read.mask.shape
    if (width, height) != size:
        raise LabelerError(
            f"The mask of {found.pictures[number]} is {width}x{height}, but the clip's pictures "
            f"are {size[0]}x{size[1]}; a mask has the size of its picture."
        )
    revision = replace(shared, digest=mask_digest(read.mask), area=int(read.mask.sum()))
    if folder is not None:
        path = folder / frame_name(revision.frame) / f"{revision.number}.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(encode_mask(read.mask, revision.to_note()))
    return SeenMask(revision, read.void, read.missing)
