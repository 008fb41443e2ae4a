"""Which frames the network looks at when it masks another one."""

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

    Two references are equal when their frames and the pixels of their masks are: `digest` is the
    SHA-256 of the mask, "" where there is none. The mask is read only when asked for, since a
    long clip may have thousands.
    """

    frame: int
    digest: str = ""
    load: Callable[[], Mask] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of_mask(cls, frame: int, mask: Mask) -> "Reference":
        """The reference at a frame whose mask, H x W bool, is in memory."""
        return cls(frame, mask_digest(mask), partial(np.asarray, mask))

    @property
    def mask(self) -> Mask | None:
        """The person's mask, H x W bool, or None for a frame that is looked at without one."""
        return None if self.load is None else self.load()


class ReferenceBook:
    """A clip's references: every frame that a person has masked.

    Which of them a target frame is masked by is the engine's choice, see `chosen_by`; without
    one it is `nearest_and_first`.

    Args:
        corrected: the frames that a person has masked.
        choice: which of them are for which target.
    """

    def __init__(
        self, corrected: Iterable[Reference] = (), choice: "ReferenceChoice | None" = None
    ) -> None:
        self._corrected = {reference.frame: reference for reference in corrected}
        self._choice = choice or nearest_and_first
        self.order = sorted(self._corrected)

    @classmethod
    def of(cls, references: "ReferenceBook | Mapping[int, Mask]") -> "ReferenceBook":
        """A book, also of plain masks, H x W bool, by frame."""
        if isinstance(references, ReferenceBook):
            return references
        return cls(Reference.of_mask(frame, mask) for frame, mask in references.items())

    def chosen_by(self, choice: "ReferenceChoice") -> "ReferenceBook":
        """The same frames, of which another choice is made for each target."""
        return ReferenceBook(self._corrected.values(), choice)

    @property
    def empty(self) -> bool:
        """Whether nobody has masked a frame of the clip yet."""
        return not self.order

    def corrected(self, frame: int) -> Reference | None:
        """The reference at this very frame if a person masked it, else None."""
        return self._corrected.get(frame)

    def nearest(self, target: int) -> tuple[Reference, ...]:
        """The nearest corrected frame at or before a target and the nearest after it, in order."""
        after = bisect_right(self.order, target)
        frames = self.order[max(after - 1, 0) : after + 1]
        return tuple(self._corrected[frame] for frame in frames)

    def references_for(self, target: int) -> tuple[Reference, ...]:
        """The references of a target frame, by frame index."""
        return self._choice(self, target)

    def digest_for(self, target: int) -> str:
        """A digest that changes exactly when the target's references do; 16 hex digits."""
        listed = ";".join(f"{r.frame}:{r.digest}" for r in self.references_for(target))
        return hashlib.sha256(listed.encode()).hexdigest()[:16]


ReferenceChoice = Callable[[ReferenceBook, int], tuple[Reference, ...]]
"""From a book and a target frame to the references of that frame, by frame index.

It must depend on nothing else: predictions are made anew when, and only when, it changes."""


def nearest_and_first(book: ReferenceBook, target: int) -> tuple[Reference, ...]:
    """The nearest corrected frames on both sides, and the clip's first frame in any case.

    So a correction changes only the frames between its neighbouring corrections, and, on the
    first frame, all of them. With no correction PDNet's own rule is left: the first frame,
    without a mask (PDNet paper, section 4.1).
    """
    near = book.nearest(target)
    if near and near[0].frame == 0:
        return near
    return (book.corrected(0) or Reference(0), *near)


def nearest_on_both_sides(book: ReferenceBook, target: int) -> tuple[Reference, ...]:
    """The nearest corrected frame before the target and the nearest after it, where there are."""
    return book.nearest(target)
