"""References: the frames that a network looks at when it masks another frame."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from labeler.mask import Mask, mask_digest


@dataclass(frozen=True)
class Reference:
    """A frame the network looks at, with a person's mask or without one.

    Two references are equal if their frames and the pixels of their masks are equal. `digest` is
    the SHA-256 of the mask, "" if there is no mask. The mask is read only on access, because a long
    clip may have thousands.
    """

    frame: int
    digest: str = ""
    load: Callable[[], Mask] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of_mask(cls, frame: int, mask: Mask) -> "Reference":
        """Make a reference from a frame and its mask, H x W bool, in memory."""
        return cls(frame, mask_digest(mask), partial(np.asarray, mask))

    @property
    def mask(self) -> Mask | None:
        """The person's mask, H x W bool, or None for a frame that is looked at without one."""
        return None if self.load is None else self.load()


class ReferenceBook:
    """A book holds every frame of a clip that a person has masked, as references.

    The engine chooses which of them are used to mask a target frame (see `chosen_by`); the default
    choice is `nearest_and_first`.

    Args:
        corrected: the frames that a person has masked.
        choice: the function that chooses the references of a target frame.
    """

    def __init__(
        self, corrected: Iterable[Reference] = (), choice: "ReferenceChoice | None" = None
    ) -> None:
        self._corrected = {reference.frame: reference for reference in corrected}
        self._choice = choice or nearest_and_first
        self._order = sorted(self._corrected)

    @classmethod
    def of(cls, references: "ReferenceBook | Mapping[int, Mask]") -> "ReferenceBook":
        """Return a book unchanged, or make one from plain masks, H x W bool, by frame."""
        if isinstance(references, ReferenceBook):
            return references
        return cls(Reference.of_mask(frame, mask) for frame, mask in references.items())

    def chosen_by(self, choice: "ReferenceChoice") -> "ReferenceBook":
        """Return a book with the same corrected frames and another choice."""
        return ReferenceBook(self._corrected.values(), choice)

    @property
    def empty(self) -> bool:
        """Whether nobody has masked a frame of the clip yet."""
        return not self._order

    def corrected(self, frame: int) -> Reference | None:
        """Return the reference at exactly this frame, or None if no person has masked it."""
        return self._corrected.get(frame)

    def nearest(self, target: int) -> tuple[Reference, ...]:
        """Return the nearest corrected frame at or before a target, and the nearest after it."""
        after = bisect_right(self._order, target)
        frames = self._order[max(after - 1, 0) : after + 1]
        return tuple(self._corrected[frame] for frame in frames)

    def references_for(self, target: int) -> tuple[Reference, ...]:
        """Return the references of a target frame, in order of frame index."""
        return self._choice(self, target)

    def digest_for(self, target: int) -> str:
        """Compute a digest, 16 hex digits, that changes exactly when the target's references do."""
        listed = ";".join(f"{r.frame}:{r.digest}" for r in self.references_for(target))
        return hashlib.sha256(listed.encode()).hexdigest()[:16]


ReferenceChoice = Callable[[ReferenceBook, int], tuple[Reference, ...]]
"""A function of a book and a target frame that returns that frame's references, by frame index.

The result must depend on nothing else: a frame is predicted again when, and only when, its
references change."""


def nearest_and_first(book: ReferenceBook, target: int) -> tuple[Reference, ...]:
    """Choose the nearest corrected frame on each side, and always the clip's first frame.

    So a correction affects only the frames between its neighbouring corrections; a correction of
    the first frame affects all frames. Without any correction this is PDNet's own rule: the first
    frame, without a mask (PDNet paper, section 4.1).
    """
    near = book.nearest(target)
    if near and near[0].frame == 0:
        return near
    return (book.corrected(0) or Reference(0), *near)


def nearest_on_both_sides(book: ReferenceBook, target: int) -> tuple[Reference, ...]:
    """Choose the nearest corrected frame at or before the target, and the nearest one after it."""
    return book.nearest(target)
