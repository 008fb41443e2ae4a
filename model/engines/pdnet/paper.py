"""The inference of the PDNet paper: one look at 480 x 480, and the paper's references.

See section 5.1 and, for two references, table 5. The tool itself looks twice, and uses seeds and
colours; this module is for comparisons with the paper.
"""

from dataclasses import dataclass, replace

from labeler.clip import KEY_FRAME_STRIDE
from labeler.reference import Reference, ReferenceBook, ReferenceChoice, nearest_and_first
from model.drivers.options import MatcherOptions
from model.engine import Use

SIDE = 480
"""The side, in pixels, of the square to which frames are resized."""

BEFORE = 5
"""How many annotated frames the second reference lies before the target."""


@dataclass(frozen=True)
class PDNetOptions(MatcherOptions):
    """The sizes at which PDNet looks at frames, and whether it runs as in the paper.

    Attributes:
        paper: 1 or 2 to run it as in the paper, with one or two references; 0 to run it as usual.
    """

    paper: int = 0

    def __post_init__(self) -> None:
        if self.paper not in (0, 1, 2):
            raise ValueError(f"the paper has one reference or two, not {self.paper}")


def first_and_fifth_before(book: ReferenceBook, target: int) -> tuple[Reference, ...]:
    """Choose the first frame, and the fifth annotated frame before the target (table 5).

    Corrected frames are chosen, too; the paper has none.
    """
    found = {each.frame: each for each in nearest_and_first(book, target)}
    before = max(0, target - BEFORE * KEY_FRAME_STRIDE)
    found.setdefault(before, book.corrected(before) or Reference(before))
    return tuple(found[frame] for frame in sorted(found))


def looks(use: Use) -> tuple[Use, ReferenceChoice]:
    """Choose the input sizes and the references of an engine by its options."""
    options: PDNetOptions = use.options
    if not options.paper:
        return use, nearest_and_first
    choice = nearest_and_first if options.paper == 1 else first_and_fifth_before
    return replace(use, input_size=SIDE, options=PDNetOptions(paper=options.paper)), choice
