"""Clips: name, frames in order, frame rate, scenario and source; and how frames are read."""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from labeler.errors import LabelerError
from labeler.text.valid import valid_text

Image = NDArray[np.uint8]
"""One frame: H x W x 3, uint8, blue-green-red as OpenCV has it."""

JPEG_QUALITY = 95
"""The JPEG quality of every frame that is written, 0 to 100."""

KEY_FRAME_STRIDE = 5
"""MVPS annotates every fifth frame (PDNet paper, section 3.1)."""


class Scenario(StrEnum):
    """The seven scenario categories of MVPS (PDNet paper, section 3.1)."""

    ENTERTAINMENT = "entertainment"
    INDOOR_HANDWORK = "indoor-handwork"
    INTERVIEW = "interview"
    LECTURE = "lecture"
    NEWS = "news"
    ONLINE_SHOPPING = "online-shopping"
    OUTDOOR_ACTIVITY = "outdoor-activity"


@dataclass(frozen=True)
class Clip:
    """The sampled frames of one video, as a workspace or a dataset describes them.

    `width` and `height` are in pixels, of the upright picture. `fps` is the true rate of the
    sampled frames. `source` says where the video comes from; it is the file's name if nothing else
    is known. `licence` names the terms of use. `sha256` is the digest of the video file; for an
    imported clip, it is the digest of the pictures as they were found, one after the other. If the
    clip is one shot of a longer video, it begins at the video's sampled frame `first_frame`, and
    `source_frames` is the number of the video's sampled frames; None means that the clip is the
    whole video. `cuts` are the frames at which a new shot begins; None means that nobody has
    looked for cuts. `split` is the list, "train" or "test", in which the dataset that the clip was
    imported from has it; "" if it has none. `title` is the name that the clip had where it comes
    from, in any script; "" if that is its name here, too. `first_number` and `number_step` are the
    numbering that the frames had where the clip comes from; exports name the frames by it.
    """

    name: str
    scenario: Scenario
    frame_count: int
    fps: Fraction
    width: int
    height: int
    source: str
    sha256: str
    stride: int = KEY_FRAME_STRIDE
    licence: str = ""
    first_frame: int = 0
    source_frames: int | None = None
    cuts: tuple[int, ...] | None = None
    split: str = ""
    title: str = ""
    first_number: int = 0
    number_step: int = 1

    @property
    def numbering(self) -> "Numbering":
        """The numbering of its frames in a dataset."""
        return Numbering(self.first_number, self.number_step)

    @property
    def shown(self) -> str:
        """The name as a person wants to see it: with the title, if that is another."""
        return f"{self.name} ({self.title})" if self.title else self.name

    def __post_init__(self) -> None:
        """Make valid what comes from outside: names of files, addresses, and what tables say."""
        object.__setattr__(self, "source", valid_text(self.source))
        object.__setattr__(self, "licence", valid_text(self.licence))

    @property
    def orientation(self) -> str:
        """How the video was held: landscape, portrait, or square."""
        if self.width == self.height:
            return "square"
        return "landscape" if self.width > self.height else "portrait"

    @property
    def part(self) -> range:
        """The range of the source's sampled frames that this clip holds."""
        return range(self.first_frame, self.first_frame + self.frame_count)

    @property
    def key_frames(self) -> range:
        """The indices of the frames that get a mask: 0, stride, 2 * stride, ..."""
        return range(0, self.frame_count, self.stride)

    def to_json(self) -> str:
        """Return the clip as JSON, so that its folder describes itself."""
        return json.dumps(asdict(self) | {"fps": str(self.fps)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Clip":
        """Read a clip from the JSON that `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: the text is not such JSON.
        """
        fields = json.loads(text)
        fields["fps"] = Fraction(fields["fps"])
        fields["scenario"] = Scenario(fields["scenario"])
        if fields.get("cuts") is not None:
            fields["cuts"] = tuple(map(int, fields["cuts"]))
        return cls(**fields)


def frame_name(index: int) -> str:
    """Return the stem of a frame's file names: the 0-based index as five digits.

    >>> frame_name(5)
    '00005'
    """
    return f"{index:05d}"


@dataclass(frozen=True)
class Numbering:
    """How a dataset numbers the frames of a clip: first, first + step, first + 2 * step, ..."""

    first: int = 0
    step: int = 1

    @classmethod
    def of(cls, numbers: Collection[int]) -> "Numbering":
        """Find the numbering of a clip's pictures; a gap in it stays a gap."""
        first = min(numbers, default=0)
        return cls(first, math.gcd(*(number - first for number in numbers)) or 1)

    def name(self, index: int) -> str:
        """Return the stem of the file name of the frame with a 0-based index.

        >>> Numbering(first=1, step=5).name(2)
        '00011'
        """
        return frame_name(self.first + index * self.step)

    def index(self, number: int) -> int | None:
        """Return the 0-based index of the frame with a number; None if no frame can have it."""
        index, rest = divmod(number - self.first, self.step)
        return None if rest else index


class Frames(Protocol):
    """The frames of a clip, read on access: `frames[i]` is the i-th, `len(frames)` their number."""

    @property
    def key(self) -> str:
        """A cache key for features; it differs whenever the pictures differ."""

    @property
    def key_frames(self) -> Sequence[int]:
        """The indices of its key frames, in order."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Image: ...


@dataclass(frozen=True)
class FrameFolder:
    """The frames of one clip as JPEG files `00000.jpg`, `00001.jpg`, ... in a folder."""

    folder: Path
    frame_count: int
    key: str
    stride: int = KEY_FRAME_STRIDE

    @property
    def key_frames(self) -> range:
        """The indices of its key frames: 0, stride, 2 * stride, ..."""
        return range(0, self.frame_count, self.stride)

    def __len__(self) -> int:
        return self.frame_count

    def __getitem__(self, index: int) -> Image:
        if not 0 <= index < self.frame_count:
            raise IndexError(f"{self.folder} has frames 0 to {self.frame_count - 1}, not {index}")
        return read_image(self.folder / f"{frame_name(index)}.jpg")


@dataclass(frozen=True)
class FrameFiles:
    """The frames of one clip as files of any names, in order."""

    files: tuple[Path, ...]
    key: str
    stride: int = KEY_FRAME_STRIDE

    @property
    def key_frames(self) -> range:
        """The indices of its key frames: 0, stride, 2 * stride, ..."""
        return range(0, len(self.files), self.stride)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Image:
        if not 0 <= index < len(self.files):
            raise IndexError(f"the clip has frames 0 to {len(self.files) - 1}, not {index}")
        return read_image(self.files[index])


class FrameList:
    """The frames of one clip in memory.

    Args:
        images: the pictures, each H x W x 3 uint8 BGR.
        key: a cache key that differs whenever the pictures do; without one, cached features of this
            list are not reused for another list.
        stride: every `stride`-th frame is a key frame.
    """

    def __init__(
        self, images: Sequence[Image], key: str | None = None, stride: int = KEY_FRAME_STRIDE
    ) -> None:
        self._images = images
        self.key = key or f"list-{next(_LISTS)}"
        self.key_frames = range(0, len(images), stride)

    @classmethod
    def of(cls, frames: "Frames | Sequence[Image]") -> "Frames":
        """Return `Frames` unchanged, or wrap plain pictures in a `FrameList`."""
        return (
            cls(frames) if isinstance(frames, list | tuple | np.ndarray) else cast(Frames, frames)
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Image:
        return self._images[index]


_LISTS = count()


def read_image(path: Path) -> Image:
    """Read a picture as it is stored, H x W x 3 uint8 BGR, without turning it by its EXIF tag.

    Raises:
        LabelerError: the file is missing or is no picture.
    """
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    image = None
    if data.size:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        state = "is not a readable picture" if path.is_file() else "is missing"
        raise LabelerError(f"{path} {state}; run `mvps doctor` to see what else is damaged.")
    return np.asarray(image, dtype=np.uint8)


def encode_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """Encode a picture, H x W x 3 uint8 BGR, as JPEG of a quality from 0 to 100."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()
