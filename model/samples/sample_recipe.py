"""Sample recipes: how training samples are made."""

from dataclasses import dataclass, replace
from enum import StrEnum


class SourceKind(StrEnum):
    """The kind of source that a sample was made from."""

    CLIP = "clip"
    STILL = "still"
    COMPOSITE = "composite"
    OBJECT = "object"
    FRESH = "fresh"
    UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class SampleRecipe:
    """How samples are made; the defaults are those of the PDNet paper, section 5.1.

    What the paper does not say is taken from its forerunner's code (COSNet) or is ours. A share
    is from 0 to 1, a weight counts against the other weights.

    Attributes:
        size: the side of a sample in pixels, a multiple of 32.
        crop: least and greatest side of the part seen, as a share of the frame; 1 and more is
            the whole frame.
        own_aspect: share of samples whose part has the frame's aspect, as whole frames have that
            are squashed to a square; others have any from 9:16 to 16:9. All are squashed.
        same_view: share of samples from clips in which all frames show about the same part, so
            that where somebody was tells where they are; in others each shows a part of its own.
        on_people: share of views that are sure to have somebody in them.
        close: share of samples in which every view is a close-up of whoever is in it, as the
            engine's second look is (`model.window.close_up`); of the others `crop` says the part.
        clips, stills, composites, objects: weights of the kinds of samples; of objects only in
            guided batches, and never without a mask to go by.
        fresh: share of the samples that are of clips with new labels, where there are any; the
            weights of the other kinds share what is left.
        unlabelled: share of batches that are of clips without masks, where there are any.
        unlabelled_after: share of a training, its first, that has no such batches, as its own
            predictions are worth nothing yet.
        first_frame: share of clips whose first reference is the first frame that has a mask;
            every other reference is any frame.
        near: share of the other references that are close, within a range that is itself random.
        motion: how far stills and pasted people move in a sample, 1 is far.
        light: how far colours change, 1 is far.
        grey: share of samples, and dark: of samples, whose views have no colours, or little light.
        rough: share of views that a very poor camera took: noisy, blurred or compressed far more
            than `light` makes them.
        guided: share of batches whose references have masks.
        references: how probable 1, 2, ... references are in a guided batch. Others have one, as
            a clip that nobody has corrected.
        run: of how many frames a sample is that is to be carried from frame to frame: then its
            references lead up to the target, or back to it, and only the first has a mask, in
            every batch. 0 for references that are chosen one by one.
        gap: frames of a clip between two of a run, at most.
        gap_grows: share of a training in which gaps grow to that, from 1.
        stills_first: share of a training, its first, in which runs are of stills alone, which are
            made to move.
        given: share of references in guided batches that have a mask; at least one does.
        jittered: share of the masks given whose boundary is moved by up to `jitter`.
        jitter: in pixels of a sample with a side of 480.
        blotted: share of the masks given that have a piece too much or lack one.
        subset: share of guided composites in which one person is to be left out, by what the
            masks given say.
        height: least and greatest height of a pasted person, as a share of the frame's.
    """

    size: int = 480
    crop: tuple[float, float] = (0.7, 1.0)
    own_aspect: float = 1.0
    same_view: float = 0.0
    on_people: float = 0.0
    close: float = 0.0
    clips: float = 1.0
    stills: float = 0.0
    composites: float = 0.0
    objects: float = 0.0
    fresh: float = 0.5
    unlabelled: float = 0.0
    unlabelled_after: float = 0.3
    first_frame: float = 0.5
    near: float = 0.0
    motion: float = 0.0
    light: float = 0.0
    grey: float = 0.0
    dark: float = 0.0
    rough: float = 0.0
    guided: float = 0.0
    references: tuple[float, ...] = (1.0,)
    given: float = 0.5
    jittered: float = 0.5
    jitter: float = 10.0
    blotted: float = 0.1
    run: int = 0
    gap: int = 10
    gap_grows: float = 0.0
    stills_first: float = 0.0
    subset: float = 0.0
    height: tuple[float, float] = (0.1, 1.0)

    def __post_init__(self) -> None:
        if self.size % 32 or self.size <= 0:
            raise ValueError(f"the size of a sample is a multiple of 32, not {self.size}")
        if not self.run and not 0 <= self.guided <= 0.6:
            raise ValueError("at least 40 % of batches are unguided, or the network forgets how")
        if not self.run and self.guided + self.unlabelled >= 1:
            raise ValueError("some batches must be neither guided nor of clips without masks")


PAPER = SampleRecipe()
"""The paper's own, unguided."""

PAPER_GUIDED = replace(PAPER, guided=0.5, references=(0.5, 0.3, 0.2))
"""The same, and as many batches with up to three references, some of which have masks."""

QUICK = SampleRecipe(
    size=256,
    crop=(0.35, 1.15),
    own_aspect=0.6,
    same_view=0.8,
    on_people=0.9,
    close=0.4,
    clips=0.3,
    stills=0.3,
    composites=0.4,
    objects=0.15,
    near=0.5,
    motion=1.0,
    light=1.0,
    guided=0.6,
    references=(0.5, 0.3, 0.2),
    subset=1 / 3,  # of the guided: a fifth of all composites
)
"""For a few hundred pictures and an hour: guided, and everything varied."""

LITE = replace(
    QUICK,
    clips=0.4,
    stills=0.3,
    composites=0.3,
    grey=0.1,
    dark=0.1,
    rough=0.1,
    unlabelled=0.2,
)
"""As QUICK, more of clips, some samples as poor as the poorest video, and clips without masks."""

RUNS = replace(
    QUICK,
    own_aspect=0.6,
    same_view=1.0,
    close=0.7,
    clips=0.45,
    stills=0.15,
    composites=0.2,
    objects=0.3,
    motion=1.0,
    guided=1.0,
    run=4,
    gap_grows=0.7,
    stills_first=0.25,
    jittered=0.3,
    blotted=0.05,
)
"""For a network that carries a mask from frame to frame: runs of frames, mostly seen closely."""
