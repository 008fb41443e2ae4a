"""PDNet as its paper runs it: how it looks, and at which references."""

import numpy as np
import pytest

from labeler.errors import LabelerError
from labeler.reference import Reference, ReferenceBook, nearest_and_first
from model.drivers.matcher import Matcher
from model.engines.pdnet.paper import first_and_fifth_before
from model.loading import load_segmenter

MASK = np.ones((4, 4), np.bool_)


def frames_of(book: ReferenceBook, target: int) -> list[int]:
    return [reference.frame for reference in book.references_for(target)]


def test_the_second_is_the_fifth_annotated_frame_before():
    book = ReferenceBook((), first_and_fifth_before)
    assert [frames_of(book, t) for t in (0, 25, 30, 60)] == [[0], [0], [0, 5], [0, 35]]
    assert all(reference.load is None for reference in book.references_for(60))


def test_corrected_frames_are_references_beside_them():
    human = Reference(35, "d", lambda: MASK)
    book = ReferenceBook([human], first_and_fifth_before)
    assert frames_of(book, 60) == [0, 35]
    assert [r.load is not None for r in book.references_for(60)] == [False, True]
    assert frames_of(book, 20) == [0, 35]


def test_it_looks_once_at_480():
    for count, choice in ((1, nearest_and_first), (2, first_and_fifth_before)):
        segmenter, card = load_segmenter(
            "pdnet-small", device="cpu", alone=True, options=[f"paper={count}"]
        )
        assert isinstance(segmenter, Matcher)
        assert segmenter.model_version == card.model_version
        assert (segmenter.input_size, segmenter.options.close_up_size) == (480, 0)
        assert segmenter.options.unguided_size == 0
        assert segmenter.choice is choice


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["paper=3"], "one reference or two, not 3"),
        (["paper=two"], "of type int"),
        (["size=2"], "has no option 'size'"),
        (["paper"], "give --option NAME=VALUE"),
    ],
)
def test_other_options_are_refused(options, sentence):
    with pytest.raises(LabelerError, match=sentence):
        load_segmenter("pdnet-small", device="cpu", options=options)


def test_other_engines_have_no_such_option():
    with pytest.raises(LabelerError, match="gam has no option 'paper'"):
        load_segmenter("gam-small", device="cpu", options=["paper=1"])
    with pytest.raises(LabelerError, match="made of other engines"):
        load_segmenter("pair-small", device="cpu", options=["paper=1"])
