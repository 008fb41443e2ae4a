import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labeler.reference import Reference, ReferenceBook


def corrected(*frames: int) -> ReferenceBook:
    return ReferenceBook(Reference(f, f"mask{f}", lambda: np.zeros((2, 2), bool)) for f in frames)


def frames_for(book: ReferenceBook, target: int) -> list[int]:
    return [reference.frame for reference in book.references_for(target)]


def test_without_corrections_the_first_frame_without_a_mask_is_all():
    (only,) = ReferenceBook().references_for(35)
    assert (only.frame, only.mask) == (0, None)


def test_nearest_before_nearest_after_and_the_first_frame():
    book = corrected(10, 20, 40)
    assert frames_for(book, 5) == [0, 10]
    assert frames_for(book, 15) == [0, 10, 20]
    assert frames_for(book, 20) == [0, 20, 40]
    assert frames_for(book, 45) == [0, 40]
    assert [r.mask is None for r in book.references_for(15)] == [True, False, False]


def test_a_corrected_first_frame_brings_its_mask():
    assert [r.mask is None for r in corrected(0, 20).references_for(10)] == [False, False]


@given(
    frames=st.sets(st.integers(0, 60)),
    added=st.integers(0, 60),
    target=st.integers(0, 60),
)
def test_a_correction_changes_only_what_lies_between_its_neighbours(frames, added, target):
    before, after = corrected(*(frames - {added})), corrected(*frames, added)
    changed = before.digest_for(target) != after.digest_for(target)
    between = not any(added < f <= target or target <= f < added for f in frames - {added})
    # the first frame is everybody's reference; a target that is corrected itself looks ahead
    assert changed == (before.references_for(target) != after.references_for(target))
    if changed and added != 0:
        assert between or target in frames
    if between and target not in frames:
        assert changed


def test_another_mask_on_the_same_frame_changes_the_digest():
    one = ReferenceBook([Reference(10, "a", lambda: np.zeros((2, 2), bool))])
    two = ReferenceBook([Reference(10, "b", lambda: np.zeros((2, 2), bool))])
    assert one.digest_for(15) != two.digest_for(15)
    assert one.digest_for(15) == one.digest_for(20)


def test_masks_are_read_only_when_asked_for():
    def explode():
        raise AssertionError("read too early")

    book = ReferenceBook([Reference(10, "a", explode)])
    assert frames_for(book, 15) == [0, 10]
    assert book.digest_for(15)
