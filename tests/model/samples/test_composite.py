"""People put into other pictures."""

import numpy as np
import pytest

from model.data.store import facts_of
from model.samples.composite import Canvas, Pose, cut_out, draw_pose, paste
from tests.model.made_sources import squares

SIZE = 128


def person(box=(40, 20, 80, 100)):
    image, people = squares((160, 120), {1: box})
    return cut_out(image, people, facts_of(people).people[0])


def canvas(layers=()):
    return Canvas(np.full((SIZE, SIZE, 3), 200, np.uint8), list(layers))


def is_red(image):
    return (image[..., 2] > 200) & (image[..., 1] < 100)


def test_a_person_is_put_where_the_pose_says():
    made = canvas()
    paste(np.random.default_rng(0), made, person(), Pose(0.5, 0.9, 0.5, False), 1.0, 0.0)
    [mask] = made.layers
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert rows[0] / SIZE == pytest.approx(0.4, abs=0.04)
    assert rows[-1] / SIZE == pytest.approx(0.9, abs=0.04)
    assert columns.mean() / SIZE == pytest.approx(0.5, abs=0.02)
    assert len(columns) / len(rows) == pytest.approx(0.5, abs=0.05), "as wide as before"
    assert np.count_nonzero(is_red(made.image) != mask) < 0.02 * mask.size
    assert (made.image[~mask & (made.image[..., 2] < 199)] > 60).all(), "edges are mixed"


def test_a_person_is_squashed_with_the_frame():
    made = canvas()
    paste(np.random.default_rng(0), made, person(), Pose(0.5, 0.9, 0.5, False), 16 / 9, 0.0)
    rows, columns = made.layers[0].any(1).sum(), made.layers[0].any(0).sum()
    assert columns / rows == pytest.approx(0.5 * 9 / 16, abs=0.04)


def test_who_is_in_front_hides_who_is_behind():
    left = np.zeros((SIZE, SIZE), bool)
    left[:, : SIZE // 2] = True
    front, behind = canvas([left]), canvas([left])
    pose = Pose(0.5, 0.9, 0.7, False)
    paste(np.random.default_rng(0), front, person(), pose, 1.0, 0.0)
    paste(np.random.default_rng(0), behind, person(), pose, 1.0, 0.0, left)
    assert not (front.layers[0] & front.layers[1]).any()
    assert not (behind.layers[0] & behind.layers[1]).any()
    assert (behind.layers[0] == left).all()
    assert behind.layers[1].sum() < 0.6 * front.layers[1].sum()
    assert (behind.image[:, : SIZE // 2 - 3] == 200).all()


@pytest.mark.parametrize("pose", [Pose(3.0, 0.5, 0.5, False), Pose(0.5, 4.0, 0.5, True)])
def test_outside_the_view_nobody_is_seen(pose):
    made = canvas()
    paste(np.random.default_rng(0), made, person(), pose, 1.0, 0.5)
    assert not made.layers[0].any()
    assert (made.image == 200).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_cut_of_who_is_cut_off_is_never_seen(seed):
    cut = person((40, 40, 80, 120))
    assert cut.grounded
    rng = np.random.default_rng(seed)
    made = canvas()
    pose = draw_pose(rng, cut, SIZE, (0.1, 1.0)).moved(rng, 1.0, True)
    paste(rng, made, cut, pose, 1.0, 0.8)
    mask = made.layers[0]
    seen = np.flatnonzero(mask.any(0))
    for column in seen[len(seen) // 4 : -(len(seen) // 4)]:  # the sides may lean
        assert mask[-1, column], "whoever is seen is seen down to the edge"


def test_heights_go_from_small_to_large():
    rng = np.random.default_rng(0)
    heights = [draw_pose(rng, person(), 80, (0.1, 1.0)).height for _ in range(200)]
    assert min(heights) < 0.13
    assert max(heights) > 0.9
    assert all(0.1 <= height <= 1.0 for height in heights)
