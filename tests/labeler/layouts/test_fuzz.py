"""No damage to a file crashes a reader, takes a gigabyte, or loses a clip without a word."""

import pytest

from tests.labeler.fuzzing import MAKERS, fuzz


@pytest.mark.slow
@pytest.mark.parametrize("layout", MAKERS)
def test_a_damaged_dataset_is_read_or_refused(layout: str) -> None:
    read, wrong = fuzz(layout, seconds=2.5)
    assert wrong == ""
    assert read > 5
