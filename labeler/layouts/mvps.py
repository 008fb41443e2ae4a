"""The MVPS layout: where everything is in a dataset folder, and how it is read.

On disk::

    JPEGImages/{Full-Resolution,480p}/<clip>/00000.jpg     every sampled frame
    Annotations/{Full-Resolution,480p}/<clip>/00000.png    every fifth frame; 0 or 1
    ImageSets/train.txt  ImageSets/test.txt                clip names, one a line
    clips.csv                                              one line a clip
    SHA256SUMS                                             one line a file, its SHA-256

DAVIS, which MVPS follows, has no clips.csv, keeps its lists in ImageSets/2016 and 2017, masks
every frame, and numbers several objects in one mask.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from labeler.clip import FrameFiles, Numbering, frame_name
from labeler.errors import LabelerError
from labeler.images.opening import opened
from labeler.layouts.clips_table import ClipRow, has_clips_table, read_clips
from labeler.layouts.frame_files import MASKS, PICTURES, frames_in
from labeler.layouts.layout import davis_whole_clips
from labeler.layouts.objects import ObjectMasks
from labeler.mask import Mask

FULL = "Full-Resolution"
SMALL = "480p"


def picture_tree(dataset: Path, resolution: str) -> Path:
    """Return the folder of a dataset's pictures at one resolution; it has a folder per clip."""
    return dataset / "JPEGImages" / resolution


def mask_tree(dataset: Path, resolution: str) -> Path:
    """Return the folder of a dataset's masks at one resolution; it has a folder per clip."""
    return dataset / "Annotations" / resolution


def clip_folders(tree: Path) -> list[str]:
    """List the names of a tree's clips, sorted; none if there is no such tree."""
    if not tree.is_dir():
        return []
    return sorted(p.name for p in tree.iterdir() if p.is_dir() and not p.name.startswith("."))


def numbered_files(folder: Path, suffix: str) -> dict[int, Path]:
    """List the files `00000<suffix>`, `00001<suffix>`, ... of a folder, by their number."""
    numbers = {
        int(path.stem): path
        for path in folder.glob(f"*{suffix}")
        if path.stem.isdecimal() and path.stem == frame_name(int(path.stem))
    }
    return dict(sorted(numbers.items()))


def picture_size(path: Path) -> tuple[int, int]:
    """Read the width and height of a picture, as it is stored, from its header alone.

    Raises:
        LabelerError: the file is missing or is no picture.
    """
    with opened(path, "picture", "bring it back from a copy", header=True) as picture:
        return picture.size


def read_list(path: Path) -> tuple[str, ...]:
    """Read the names of the clips in a list of ImageSets, in its order."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


@dataclass(frozen=True)
class Dataset:
    """A folder in the MVPS layout or in DAVIS's own, to read from (see `open_dataset`).

    `resolutions` are those with both pictures and masks, the largest first; a method uses the
    largest if it is not given another.
    """

    folder: Path
    resolutions: tuple[str, ...]
    clips: tuple[ClipRow, ...]
    _opened: dict[str, ObjectMasks] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _numberings: dict[str, Numbering] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def clip(self, name: str) -> ClipRow:
        """Return the clip of that name.

        Raises:
            LabelerError: there is none; the message lists some that there are.
        """
        for row in self.clips:
            if row.name == name:
                return row
        known = ", ".join(row.name for row in self.clips[:10])
        raise LabelerError(f"There is no clip {name!r} in {self.folder}; there are: {known}.")

    def frames(self, clip: str, resolution: str | None = None) -> FrameFiles:
        """Return a clip's pictures, which are read on access.

        Raises:
            LabelerError: there are none, or their numbers have a gap.
        """
        files = self.pictures(clip, resolution)
        folder = next(iter(files.values())).parent if files else self._pictures(clip, resolution)
        if not files or list(files) != list(range(len(files))):
            raise LabelerError(
                f"The pictures in {folder} are not numbered {self.frame_name(clip, 0, resolution)}"
                ".jpg and on without a gap; run `mvps validate` to see what is missing."
            )
        key = f"{folder.resolve()}:{self.clip(clip).sha256}"
        return FrameFiles(tuple(files.values()), key)

    def pictures(self, clip: str, resolution: str | None = None) -> dict[int, Path]:
        """List the files of a clip's pictures by index, whatever numbers they have.

        The index is 0 for the lowest number, and 1 for the next, also where numbers have steps.

        If the clip is masked in part, all its pictures may lie in a folder of their own; see
        `davis_whole_clips`.

        Raises:
            LabelerError: a file is not named like a frame, or a frame has two files.
        """
        return self._by_index(clip, resolution, self._numbered_pictures(clip, resolution))

    def masks(self, clip: str, resolution: str | None = None) -> dict[int, Path]:
        """List the files of a clip's masks by the index of their frames.

        Raises:
            LabelerError: a file is not named like a frame, a frame has two files, or a mask has a
                number between those of the pictures.
        """
        files = frames_in(self._masks(clip, resolution), MASKS)
        return self._by_index(clip, resolution, files)

    def frame_name(self, clip: str, index: int, resolution: str | None = None) -> str:
        """Return the stem of the file names of a clip's frame."""
        return self._numbering(clip, resolution).name(index)

    def annotated(self, clip: str, resolution: str | None = None) -> list[int]:
        """List the indices of the frames that have a mask, in order."""
        return list(self.masks(clip, resolution))

    def mask(self, clip: str, index: int, resolution: str | None = None) -> Mask:
        """Read a frame's mask, H x W bool: True where any object is, False where `void` is.

        Raises:
            LabelerError: the file is missing or is no mask.
        """
        return self.foreground_and_void(clip, index, resolution)[0]

    def void(self, clip: str, index: int, resolution: str | None = None) -> Mask:
        """Read where a frame is not scored, H x W bool; all False in MVPS and in most of DAVIS.

        `ObjectMasks` says when index 255 is void.

        Raises:
            LabelerError: the file is missing or is no mask.
        """
        return self.foreground_and_void(clip, index, resolution)[1]

    def foreground_and_void(
        self, clip: str, index: int, resolution: str | None = None
    ) -> tuple[Mask, Mask]:
        """Read a frame's `mask` and `void`, with the file opened once.

        Raises:
            LabelerError: the file is missing or is no mask.
        """
        folder = self._masks(clip, resolution)
        masks = self._opened.get(str(folder))
        if masks is None:
            masks = self._opened[str(folder)] = ObjectMasks(self.masks(clip, resolution))
        if index not in masks.files:
            raise LabelerError(
                f"{folder / self.frame_name(clip, index, resolution)}.png is missing; bring it "
                "back from a copy."
            )
        objects, void = masks.read(index)
        return np.not_equal(objects, 0), void

    @cached_property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """Every list of ImageSets: "train" for train.txt, "2017/val" for 2017/val.txt."""
        lists = self.folder / "ImageSets"
        found = sorted([*lists.glob("*.txt"), *lists.glob("*/*.txt")])
        return {str(p.relative_to(lists).with_suffix("").as_posix()): read_list(p) for p in found}

    def split(self, name: str) -> tuple[str, ...]:
        """Return the clips of a list, such as "train"; in DAVIS 2017's list, which holds 2016's.

        Raises:
            LabelerError: there is no such list; the message names those that there are.
        """
        for key in (name, f"2017/{name}", f"2016/{name}"):
            if key in self.splits:
                return self.splits[key]
        known = ", ".join(self.splits) or "none; `mvps split` makes them"
        raise LabelerError(f"There is no list {name!r} in {self.folder}/ImageSets; known: {known}.")

    def _resolution(self, resolution: str | None) -> str:
        if resolution is None:
            return self.resolutions[0]
        if resolution not in self.resolutions:
            raise LabelerError(
                f"{self.folder} has no {resolution}, only {' and '.join(self.resolutions)}; "
                "`mvps resize` makes 480p."
            )
        return resolution

    def _masks(self, clip: str, resolution: str | None) -> Path:
        return mask_tree(self.folder, self._resolution(resolution)) / self.clip(clip).name

    def _pictures(self, clip: str, resolution: str | None) -> Path:
        resolution, name = self._resolution(resolution), self.clip(clip).name
        whole = davis_whole_clips(self.folder, resolution) / name
        return whole if whole.is_dir() else picture_tree(self.folder, resolution) / name

    def _numbered_pictures(self, clip: str, resolution: str | None) -> dict[int, Path]:
        return frames_in(self._pictures(clip, resolution), PICTURES)

    def _by_index(
        self, clip: str, resolution: str | None, files: dict[int, Path]
    ) -> dict[int, Path]:
        """Number files from 0 for the clip's first picture, in steps of 1."""
        numbering = self._numbering(clip, resolution)
        found = {}
        for number, path in files.items():
            index = numbering.index(number)
            if index is None:
                raise LabelerError(
                    f"{path} belongs to no picture: those are numbered {numbering.name(0)}, "
                    f"{numbering.name(1)} and so on; move it elsewhere."
                )
            found[index] = path
        return found

    def _numbering(self, clip: str, resolution: str | None) -> Numbering:
        folder = str(self._pictures(clip, resolution))
        if folder not in self._numberings:
            # Where clips.csv tells it, a clip whose first picture is missing keeps its places.
            self._numberings[folder] = (
                self.clip(clip).numbering
                if has_clips_table(self.folder)
                else Numbering.of(self._numbered_pictures(clip, resolution))
            )
        return self._numberings[folder]


def open_dataset(folder: Path) -> Dataset:
    """Open a folder in the MVPS layout, or in DAVIS's own, with or without its lists.

    The clips are those of clips.csv. Without a clips.csv of this layout, each folder of pictures is
    a clip.

    Raises:
        LabelerError: the folder has neither layout, or its clips.csv is damaged.
    """
    resolutions = tuple(
        resolution
        for resolution in (FULL, SMALL)
        if clip_folders(picture_tree(folder, resolution)) and mask_tree(folder, resolution).is_dir()
    )
    if not resolutions:
        raise LabelerError(
            f"{folder} is neither an MVPS nor a DAVIS dataset: clips were looked for in "
            f"JPEGImages/{FULL} with Annotations/{FULL}, and in JPEGImages/{SMALL} with "
            f"Annotations/{SMALL}; give the folder that holds JPEGImages."
        )
    if has_clips_table(folder):
        return Dataset(folder, resolutions, read_clips(folder / "clips.csv"))
    names = clip_folders(picture_tree(folder, resolutions[0]))
    return Dataset(
        folder, resolutions, tuple(_counted(folder, resolutions[0], name) for name in names)
    )


def _counted(dataset: Path, resolution: str, name: str) -> ClipRow:
    """Describe a clip by its folders, because no clips.csv describes it."""
    bare = ClipRow(name, None, 0, 0, None, 0, 0)
    here = Dataset(dataset, (resolution,), (bare,))
    pictures = here.pictures(name)
    width, height = picture_size(next(iter(pictures.values()))) if pictures else (0, 0)
    return replace(
        bare,
        frames=len(pictures),
        annotated=len(here.masks(name)),
        width=width,
        height=height,
    )
