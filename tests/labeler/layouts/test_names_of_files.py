"""Datasets whose files are named in other ways than ours are read in full."""

from pathlib import Path

import numpy as np
import pytest

from labeler.clip import read_image
from labeler.errors import LabelerError
from labeler.inspect.statistics import measure_dataset
from labeler.layouts.mvps import open_dataset
from tests.labeler.made_foreign import SIZE, made_davis, objects


def test_suffixes_in_any_case_and_numbers_from_1(tmp_path: Path) -> None:
    folder = made_davis(tmp_path / "set", {"a": {1: objects(1), 3: objects(1, 2)}}, range(1, 5))
    for path in [*folder.rglob("*.jpg"), *folder.rglob("*.png")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    dataset = open_dataset(folder)
    [row] = dataset.clips
    assert (row.frames, row.annotated, row.width, row.height) == (4, 2, *SIZE)
    assert dataset.annotated("a") == [0, 2]
    np.testing.assert_array_equal(dataset.mask("a", 2), objects(1, 2) > 0)
    picture = folder / "JPEGImages" / "480p" / "a" / "00003.JPG"
    np.testing.assert_array_equal(dataset.frames("a")[2], read_image(picture))
    with pytest.raises(LabelerError, match=r"00002\.png is missing"):
        dataset.mask("a", 1)
    measured = measure_dataset(dataset, every=1)
    assert measured.clips[0].frames == 4
