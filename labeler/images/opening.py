"""Opens picture files of others, which may be damaged or made to do harm."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image as Pillow

from labeler.errors import LabelerError

FORMATS = ("PNG", "JPEG", "MPO", "BMP", "TIFF", "WEBP", "GIF")
"""The kinds of files that are opened; Pillow starts other programs for some others."""

MOST_PIXELS = 1 << 27
"""The most pixels of a picture: 134 million, four times those of 8K video."""


class UnclearMaskError(ValueError):
    """A picture that is whole, but no clear mask; the message is a clause that says why."""


@contextmanager
def opened(path: Path, what: str, cure: str) -> Iterator[Pillow.Image]:
    """Open a picture, to be decoded inside the block; any error there names the file.

    The file is read first, because a damaged one may tell Pillow to read gigabytes.

    Args:
        path: the file.
        what: what it should be, such as "picture".
        cure: what the user should do if it is not.

    Raises:
        LabelerError: the file is missing, damaged, of another kind or too large; or the block
            raised one, or an `UnclearMaskError`.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, ValueError):  # or a name that no file can have
        raise LabelerError(f"{path} is missing; {cure}.") from None
    except OSError as error:
        raise LabelerError(f"{path} cannot be read ({error.strerror}); {cure}.") from None
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise UnclearMaskError(f"it is {picture.width}x{picture.height}, too large")
            yield picture
    except LabelerError:
        raise
    except UnclearMaskError as error:
        raise LabelerError(f"{path} is not a readable {what} ({error}); {cure}.") from None
    except Exception:  # Pillow raises errors of many kinds on damaged files
        state = "it is empty" if not data else "it is damaged, cut off or of another kind"
        raise LabelerError(f"{path} is not a readable {what} ({state}); {cure}.") from None
