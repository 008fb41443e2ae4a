"""Finds what is wrong with one clip of a dataset in the MVPS layout."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from PIL import Image as Pillow

from labeler.clip import Numbering
from labeler.errors import LabelerError
from labeler.layouts.clips_table import ClipRow
from labeler.layouts.layout import davis_whole_clips
from labeler.layouts.mvps import FULL, SMALL, mask_tree, numbered_files, picture_size, picture_tree
from labeler.publish.resize import size_480p
from labeler.threads import call_all

Size = tuple[int, int]
"""Width and height, in pixels."""


class FaultKind(StrEnum):
    """How a dataset can be at fault; the value is the fault's name for a script."""

    LAYOUT = "layout"  # a tree, a list or clips.csv is missing
    CLIPS_TABLE = "clips-table"  # clips.csv disagrees with the folders
    STRAY_FILE = "stray-file"  # a file in a clip's folder that belongs to no frame
    MISSING_FRAME = "missing-frame"  # a gap in the numbering, or fewer than clips.csv says
    EXTRA_FRAME = "extra-frame"  # more than clips.csv says
    MISSING_MASK = "missing-mask"  # fewer than clips.csv says
    MASK_WITHOUT_PICTURE = "mask-without-picture"
    STRIDE = "stride"  # a mask of a frame that is no key frame
    RESOLUTIONS_DIFFER = "resolutions-differ"  # a file at full resolution only, or at 480p only
    SIZE = "size"  # a picture unlike the clip's others, or a mask unlike the pictures
    SIZE_480P = "size-480p"  # the same at 480p
    UNREADABLE = "unreadable"  # a file that is no picture, or no mask
    MASK_VALUES = "mask-values"  # a mask that is no palette PNG of 0 and 1
    SPLIT_TWICE = "split-twice"  # a clip in both lists, or twice in one
    SPLIT_UNKNOWN = "split-unknown"  # a listed clip that is not there
    SPLIT_MISSING = "split-missing"  # a clip in no list
    SPLIT_SOURCE = "split-source"  # clips of one source video in both lists
    MANIFEST = "manifest"  # SHA256SUMS is damaged
    MANIFEST_MISSING = "manifest-missing"  # a file that SHA256SUMS names is missing
    MANIFEST_EXTRA = "manifest-extra"  # a file that SHA256SUMS does not name
    MANIFEST_CHANGED = "manifest-changed"  # a file with other bytes than SHA256SUMS says


@dataclass(frozen=True)
class Fault:
    """One fault: the rule that is broken, the file or folder, and a sentence that says how."""

    rule: FaultKind
    path: Path
    message: str


class ClipFolders:
    """One clip's pictures and masks at both resolutions, in which faults are found."""

    def __init__(self, folder: Path, name: str, row: ClipRow | None, stride: int) -> None:
        """List the clip's files.

        Args:
            folder: the dataset.
            name: the clip.
            row: its line of clips.csv, if there is one.
            stride: every `stride`-th frame has a mask.
        """
        self.name, self.row, self.stride = name, row, stride
        self.pictures = _whole(folder, FULL, name)
        self.masks = mask_tree(folder, FULL) / name
        self.small_pictures = _whole(folder, SMALL, name)
        self.small_masks = mask_tree(folder, SMALL) / name
        self.numbering = Numbering() if row is None else row.numbering
        self.frames = self._by_index(self.pictures, ".jpg")
        self.annotated = self._by_index(self.masks, ".png")
        self.small_frames = self._by_index(self.small_pictures, ".jpg")
        self.small_annotated = self._by_index(self.small_masks, ".png")

    def faults(self) -> Iterator[Fault]:
        """Yield every fault of the clip, except those that only follow from another fault."""
        yield from self._stray()
        yield from self._numbers()
        yield from self._other_resolution()
        sizes, unreadable = _sizes(self.frames)
        yield from unreadable
        if not sizes:
            return
        # The most frequent size is the clip's, so that one odd picture is one fault.
        size = Counter(sizes.values()).most_common(1)[0][0]
        yield from _wrong_sizes(
            sizes, size, FaultKind.SIZE, f"the clip's other pictures, {_x(size)}"
        )
        if self.row is not None and (self.row.width, self.row.height) != size:
            said = _x((self.row.width, self.row.height))
            message = f"clips.csv says that {self.name} is {said}, its pictures are {_x(size)}."
            yield Fault(FaultKind.CLIPS_TABLE, self.pictures, message)
        yield from _mask_faults(self.annotated, size, FaultKind.SIZE)
        small = size_480p(*size)
        sizes, unreadable = _sizes(self.small_frames)
        yield from unreadable
        yield from _wrong_sizes(
            sizes, small, FaultKind.SIZE_480P, f"{_x(small)}, 480p of {_x(size)}"
        )
        yield from _mask_faults(self.small_annotated, small, FaultKind.SIZE_480P)

    def _by_index(self, folder: Path, suffix: str) -> dict[int, Path]:
        """List files by the index of their frames; one with another number is a stray file."""
        found = {
            self.numbering.index(number): path
            for number, path in numbered_files(folder, suffix).items()
        }
        return {index: path for index, path in found.items() if index is not None and index >= 0}

    def _list(self, indices: Collection[int]) -> str:
        """Format the first few of some frames: "00003, 00007 and 12 more"."""
        first = ", ".join(self.numbering.name(n) for n in list(indices)[:5])
        return first if len(indices) <= 5 else f"{first} and {len(indices) - 5} more"

    def _stray(self) -> Iterator[Fault]:
        for folder, files, name in (
            (self.pictures, self.frames, f"{self.numbering.name(0)}.jpg"),
            (self.masks, self.annotated, f"{self.numbering.name(0)}.png"),
            (self.small_pictures, self.small_frames, f"{self.numbering.name(0)}.jpg"),
            (self.small_masks, self.small_annotated, f"{self.numbering.name(0)}.png"),
        ):
            known = set(files.values())
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path not in known and not path.name.startswith("."):
                    yield Fault(
                        FaultKind.STRAY_FILE, path, f"{path} is not named like a frame ({name})."
                    )

    def _numbers(self) -> Iterator[Fault]:
        name, frames, masks, row = self.name, self.frames, self.annotated, self.row
        counted = max(frames, default=-1) + 1
        said = row.frames if row is not None and self.pictures.is_dir() else counted
        if absent := [n for n in range(said) if n not in frames]:
            message = f"{name} should have {said} pictures; missing: {self._list(absent)}."
            yield Fault(
                FaultKind.MISSING_FRAME,
                self.pictures / f"{self.numbering.name(absent[0])}.jpg",
                message,
            )
        if extra := [n for n in frames if n >= said]:
            message = (
                f"clips.csv says that {name} has {said} pictures; also there: {self._list(extra)}."
            )
            yield Fault(FaultKind.EXTRA_FRAME, frames[extra[0]], message)
        if lone := [n for n in masks if n not in frames]:
            message = f"{name} has masks of frames without a picture: {self._list(lone)}."
            yield Fault(FaultKind.MASK_WITHOUT_PICTURE, masks[lone[0]], message)
        if off := [n for n in masks if n % self.stride]:
            message = (
                f"{name} has masks between key frames (every {self.stride}th): {self._list(off)}."
            )
            yield Fault(FaultKind.STRIDE, masks[off[0]], message)
        bare = [n for n in range(0, counted, self.stride) if n not in masks]
        promised = len(masks) + len(bare) if row is None else row.annotated
        if bare and len(masks) < promised:
            message = (
                f"{name} should have {promised} masks and has {len(masks)}; "
                f"frames without one: {self._list(bare)}."
            )
            yield Fault(
                FaultKind.MISSING_MASK, self.masks / f"{self.numbering.name(bare[0])}.png", message
            )
        elif len(masks) != promised and frames:
            message = f"clips.csv says that {name} has {promised} masks; {len(masks)} are there."
            yield Fault(FaultKind.CLIPS_TABLE, self.masks, message)

    def _other_resolution(self) -> Iterator[Fault]:
        for full, small, at_full, at_small in (
            (self.frames, self.small_frames, self.pictures, self.small_pictures),
            (self.annotated, self.small_annotated, self.masks, self.small_masks),
        ):
            if not (at_full.parent.is_dir() and at_small.parent.is_dir()):
                continue  # a whole tree is missing, which was said once
            for here, there, folder in ((full, small, at_small), (small, full, at_full)):
                if only := [n for n in here if n not in there]:
                    path = folder / here[only[0]].name
                    message = (
                        f"{folder} lacks frames that the other resolution has: {self._list(only)}."
                    )
                    yield Fault(FaultKind.RESOLUTIONS_DIFFER, path, message)


def _whole(folder: Path, resolution: str, name: str) -> Path:
    """Return the folder of all pictures of a clip, which DAVIS's layout has elsewhere."""
    whole = davis_whole_clips(folder, resolution) / name
    return whole if whole.is_dir() else picture_tree(folder, resolution) / name


def _sizes(files: dict[int, Path]) -> tuple[dict[Path, Size], list[Fault]]:
    """Read the size of each picture, and make a fault for each unreadable one."""
    sizes: dict[Path, Size] = {}
    faults = []
    results = call_all(partial(_size_or_error, path) for path in files.values())
    for path, result in zip(files.values(), results, strict=True):
        if isinstance(result, str):
            faults.append(Fault(FaultKind.UNREADABLE, path, result))
        else:
            sizes[path] = result
    return sizes, faults


def _size_or_error(path: Path) -> Size | str:
    try:
        return picture_size(path)
    except LabelerError as error:
        return str(error)


def _wrong_sizes(
    sizes: dict[Path, Size], size: Size, rule: FaultKind, wanted: str
) -> Iterator[Fault]:
    for path, found in sizes.items():
        if found != size:
            yield Fault(rule, path, f"{path} is {_x(found)}, not {wanted}.")


def _mask_faults(files: dict[int, Path], size: Size, rule: FaultKind) -> Iterator[Fault]:
    for fault in call_all(partial(_mask_fault, path, size, rule) for path in files.values()):
        if fault is not None:
            yield fault


def _mask_fault(path: Path, size: Size, rule: FaultKind) -> Fault | None:
    try:
        with Pillow.open(path) as picture:
            if picture.size != size:
                message = f"The mask {path} is {_x(picture.size)}, not {_x(size)} like its frame."
                return Fault(rule, path, message)
            if picture.mode != "P":
                message = f"The mask {path} is no palette PNG (0 background, 1 portrait)."
                return Fault(FaultKind.MASK_VALUES, path, message)
            highest = picture.getextrema()[1]
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        return Fault(FaultKind.UNREADABLE, path, f"{path} is not a readable mask ({error}).")
    if highest not in (0, 1):
        message = f"The mask {path} has the value {highest}; a mask has 0 and 1 only."
        return Fault(FaultKind.MASK_VALUES, path, message)
    return None


def _x(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
