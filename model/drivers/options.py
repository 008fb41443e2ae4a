"""The options of a driver that an engine's card may set."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MatcherOptions:
    """The sizes at which a matcher looks at frames: sides of squares in pixels, multiples of 32.

    Attributes:
        unguided_size: the input's side where no reference has a mask; 0 for the usual side. People
            are found better in a small picture, and given masks are carried better in a large one.
        close_up_size: the input's side of the second look, at the close-up of the people that the
            first look found; 0 for no second look.
    """

    unguided_size: int = 0
    close_up_size: int = 0
