"""Which frames the network looks at when it masks another one."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from labeler.mask import Mask


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

    @property
    def mask(self) -> Mask | None:
        """The person's mask, H x W bool, or None for a frame that is looked at without one."""
        return None if self.load is None else self.load()


class ReferenceBook:
    """A clip's references: every frame with a person's mask, and the first frame in any case.

    For a target these are the nearest corrected frame before it, the nearest after it, and the
    clip's first frame. So a correction changes only the frames between its neighbouring
    corrections, and, on the first frame, all of them. With no correction PDNet's own rule is
    left: the first frame, without a mask (PDNet paper, section 4.1).
    """

    def __init__(self, corrected: Iterable[Reference] = ()) -> None:
        self._corrected = {reference.frame: reference for reference in corrected}
        self._order = sorted(self._corrected)

    @property
    def empty(self) -> bool:
        """Whether nobody has masked a frame of the clip yet."""
        return not self._order

    def corrected(self, frame: int) -> Reference | None:
        """The reference at this very frame if a person masked it, else None."""
        return self._corrected.get(frame)

    def references_for(self, target: int) -> tuple[Reference, ...]:
        """The references of a target frame, one to three, by frame index."""
        after = bisect_right(self._order, target)
        frames = {0, *self._order[max(after - 1, 0) : after], *self._order[after : after + 1]}
        return tuple(self._corrected.get(frame, Reference(frame)) for frame in sorted(frames))

    def digest_for(self, target: int) -> str:
        """A digest that changes exactly when the target's references do; 16 hex digits."""
        listed = ";".join(f"{r.frame}:{r.digest}" for r in self.references_for(target))
        return hashlib.sha256(listed.encode()).hexdigest()[:16]
