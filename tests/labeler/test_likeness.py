"""Pictures that show the same are known by what they show."""

import cv2
import numpy as np
import pytest

from labeler.clip import read_image
from labeler.errors import LabelerError
from labeler.likeness import ALIKE, alike, thumbnails_of
from tests.accepted import picture

CHANGES = {
    "as it is": lambda image: image,
    "half as large": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5),
    "squashed": lambda image: cv2.resize(image, (100, 100)),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.1, beta=10),
    "cut by 5 %": lambda image: image[2:-2, 3:-3],
}


@pytest.fixture
def save(tmp_path):
    def saved(image, quality=60):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jpg"
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return path

    return saved


@pytest.mark.parametrize("change", CHANGES)
def test_a_frame_is_known_by_what_it_shows(save, change):
    clips = {
        name: thumbnails_of(save(picture(frame, seed), 95) for frame in (0, 5, 10))
        for name, seed in (("run", 2), ("walk", 1))
    }
    changed = save(CHANGES[change](picture(5, 1)))
    other = save(picture(5, 3))
    (found,) = alike([other, changed], clips)
    assert (found.picture, found.clip, found.frame) == (changed, "walk", 1)


def test_without_clips_nothing_is_read(tmp_path):
    assert alike([tmp_path / "missing.jpg"], {}) == []
    with pytest.raises(LabelerError, match="is missing"):
        alike([tmp_path / "missing.jpg"], {"walk": thumbnails_of([])})


def test_thumbnails_are_correlated(save):
    looks = thumbnails_of([save(picture(0, 1)), save(np.full((40, 40, 3), 7, np.uint8))])
    assert looks.shape == (2, 256)
    assert np.linalg.norm(looks[0]) == pytest.approx(1, abs=1e-5)
    assert np.abs(looks[1]).max() < 1e-3  # of one colour: it is like nothing


def test_real_clips_are_told_apart_and_known_again(shared_data, save):
    folders = sorted((shared_data / "video/JPEGImages/480p").iterdir())
    clips = {f.name: thumbnails_of(sorted(f.glob("*.jpg"))[::3]) for f in folders}
    names = list(clips)
    for one in names:
        for other in names[names.index(one) + 1 :]:
            assert (clips[one] @ clips[other].T).max() < ALIKE
    for folder in folders:
        image = read_image(sorted(folder.glob("*.jpg"))[3])
        small = save(CHANGES["half as large"](image))
        assert [each.clip for each in alike([small], clips)] == [folder.name]
