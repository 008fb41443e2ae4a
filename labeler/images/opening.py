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
def opened(path: Path, what: str, cure: str, header: bool = False) -> Iterator[Pillow.Image]:
    """Open a picture, to be decoded inside the block; any error there names the file.

    The file is read first, because a damaged one may tell Pillow to read gigabytes.

    Args:
        path: the file.
        what: what it should be, such as "picture".
        cure: what the user should do if it is not.
        header: read only as much as the size of the picture takes; the block decodes nothing.

    Raises:
        LabelerError: the file is missing, damaged, of another kind or too large; or the block
            raised one, or an `UnclearMaskError`.
    """
    try:
        with path.open("rb") as file:
            source = file if header else io.BytesIO(file.read())
            with Pillow.open(source, formats=FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise UnclearMaskError(f"it is {picture.width}x{picture.height}, too large")
                yield picture
    except LabelerError:
        raise
    except FileNotFoundError:
        raise LabelerError(f"{path} is missing; {cure}.") from None
    except UnclearMaskError as error:
        raise LabelerError(f"{path} is not a readable {what} ({error}); {cure}.") from None
    except Exception as error:  # Pillow raises errors of many kinds on damaged files
        state = "it is damaged, cut off or of another kind"
        if isinstance(error, OSError) and error.strerror:
            state = error.strerror  # of the operating system, such as "Permission denied"
        raise LabelerError(f"{path} is not a readable {what} ({state}); {cure}.") from None
