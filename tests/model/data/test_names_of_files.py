"""Training reads files that are named in other ways than ours, and void as evaluation does."""

from pathlib import Path

import numpy as np

from model.data.folders import clips_from, stills_from
from tests.labeler.made_datasets import made_picture, write_indexed, write_picture
from tests.labeler.made_foreign import SIZE, made_davis, objects


def test_suffixes_in_any_case_and_numbers_from_1(tmp_path: Path) -> None:
    folder = made_davis(tmp_path / "set", {"a": {1: objects(1), 3: objects(1, 2)}}, range(1, 5))
    for path in [*folder.rglob("*.jpg"), *folder.rglob("*.png")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    [take] = clips_from(folder)
    assert (take.frames, take.length, len(take.pictures)) == ((0, 2), 4, 4)
    assert [still.read()[1].any() for still in take.stills] == [True, True]


def test_void_is_background_where_people_are_numbered(tmp_path: Path) -> None:
    for name, mask in (("a", objects(1, 2, 255)), ("b", objects(255))):
        write_picture(tmp_path / "images" / f"{name}.jpg", made_picture(name, 0, SIZE))
        write_indexed(tmp_path / "masks" / f"{name}.png", mask)
    numbered, binary = (still.read()[1] for still in stills_from(tmp_path))
    np.testing.assert_array_equal(numbered, objects(1, 2))
    np.testing.assert_array_equal(binary > 0, objects(255) > 0)
