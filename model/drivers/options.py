"""What can be set of a driver, as far as an engine's card may set it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MatcherOptions:
    """How a matcher looks at frames; sides of squares in pixels, multiples of 32.

    Attributes:
        unguided_size: the input's side where no reference has a mask: whoever is not known yet is
            better found in a small picture, and a mask that is given better carried in a large
            one; 0 for the same side.
        close_up_size: that of the second look, at whoever the first one found and nothing else; 0
            for no second look.
    """

    unguided_size: int = 0
    close_up_size: int = 0
