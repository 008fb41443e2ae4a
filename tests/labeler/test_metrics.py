"""J, F and their statistics against plain re-computations of DAVIS's definitions."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage import morphology

from labeler.mask import Mask, read_mask
from labeler.metrics import (
    Scores,
    Statistics,
    boundary,
    boundary_measure,
    boundary_radius,
    clip_scores,
    dataset_scores,
    region_similarity,
    statistics,
)


def plain_boundary(mask: Mask) -> Mask:
    """The rule, pixel by pixel: XOR with the east, south and south-east neighbours."""
    height, width = mask.shape
    out = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            last_row, last_column = y == height - 1, x == width - 1
            if last_row and last_column:
                neighbours = []
            elif last_row:
                neighbours = [mask[y, x + 1]]
            elif last_column:
                neighbours = [mask[y + 1, x]]
            else:
                neighbours = [mask[y, x + 1], mask[y + 1, x], mask[y + 1, x + 1]]
            out[y, x] = any(bool(mask[y, x]) != bool(other) for other in neighbours)
    return out


def f_of_counts(predicted: int, true: int, predicted_hit: int, true_hit: int) -> float:
    if predicted == 0 and true == 0:
        precision, recall = 1.0, 1.0
    elif predicted == 0:
        precision, recall = 1.0, 0.0
    elif true == 0:
        precision, recall = 0.0, 1.0
    else:
        precision, recall = predicted_hit / predicted, true_hit / true
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def plain_boundary_measure(prediction: Mask, truth: Mask, void: Mask, radius: int) -> float:
    """F from the distance of every boundary pixel to every other."""
    predicted = np.argwhere(plain_boundary(prediction & ~void))
    true = np.argwhere(plain_boundary(truth & ~void))
    apart = ((predicted[:, None] - true[None]) ** 2).sum(axis=-1)
    near = apart <= radius**2
    return f_of_counts(
        len(predicted), len(true), int(near.any(axis=1).sum()), int(near.any(axis=0).sum())
    )


def plain_region_similarity(prediction: Mask, truth: Mask, void: Mask) -> float:
    cells = [
        (bool(p), bool(t))
        for p, t, v in zip(prediction.flat, truth.flat, void.flat, strict=True)
        if not v
    ]
    union = sum(p or t for p, t in cells)
    return sum(p and t for p, t in cells) / union if union else 1.0


def disk_boundary_measure(prediction: Mask, truth: Mask, radius: int) -> float:
    """F by dilation with scikit-image's disk over the whole frame, as DAVIS first had it."""
    predicted, true = plain_boundary_of_frame(prediction), plain_boundary_of_frame(truth)
    disk = morphology.disk(radius)
    near_predicted = morphology.dilation(predicted, disk, mode="ignore")
    near_true = morphology.dilation(true, disk, mode="ignore")
    counts = (predicted, true, predicted & near_true, true & near_predicted)
    return f_of_counts(*(int(np.count_nonzero(count)) for count in counts))


def plain_boundary_of_frame(mask: Mask) -> Mask:
    """`plain_boundary`, for whole frames: neighbours beyond the frame are copies of the edge."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    east, south, south_east = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask != east) | (mask != south) | (mask != south_east)


def plain_decay(values: NDArray[np.float64], wrap: int | None = None) -> float:
    """Decay with DAVIS's own cuts; `wrap` is 256 for the 8 bits it keeps them in."""
    cuts = np.round(np.linspace(1, len(values), 5) + 1e-10) - 1
    ids = [int(cut) % wrap if wrap else int(cut) for cut in cuts]
    first, last = values[ids[0] : ids[1] + 1], values[ids[3] : ids[4] + 1]
    return float(np.mean(first) - np.mean(last))


@st.composite
def masks(draw: st.DrawFn, shape: tuple[int, int]) -> Mask:
    """A mask of one kind: empty, full, one pixel, noise, or boxes that may touch the edges."""
    height, width = shape
    kind = draw(st.sampled_from(["empty", "full", "pixel", "noise", "boxes", "boxes", "boxes"]))
    if kind == "noise":
        return draw(arrays(np.bool_, shape))
    mask = np.full(shape, kind == "full")
    if kind in {"pixel", "boxes"}:
        for _ in range(1 if kind == "pixel" else draw(st.integers(1, 3))):
            y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
            tall = 1 if kind == "pixel" else draw(st.integers(1, height))
            wide = 1 if kind == "pixel" else draw(st.integers(1, width))
            mask[y : y + tall, x : x + wide] ^= True
    return mask


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Mask, Mask, Mask]:
    """A prediction, a truth and a void mask of one size."""
    shape = draw(st.tuples(st.integers(1, 23), st.integers(1, 23)))
    void = draw(st.one_of(st.just(np.zeros(shape, np.bool_)), masks(shape)))
    return draw(masks(shape)), draw(masks(shape)), void


RADII = st.integers(0, 12)
UNHURRIED = settings(deadline=None)  # a busy machine is no failure


@UNHURRIED
@given(scenes())
def test_boundary_is_the_rule_pixel_by_pixel(scene: tuple[Mask, Mask, Mask]) -> None:
    for mask in scene:
        np.testing.assert_array_equal(boundary(mask), plain_boundary(mask))
        np.testing.assert_array_equal(plain_boundary_of_frame(mask), plain_boundary(mask))


@settings(max_examples=400, deadline=None)
@given(scenes(), RADII)
@example((np.ones((1, 1), bool), np.zeros((1, 1), bool), np.zeros((1, 1), bool)), 1)
def test_f_is_exact(scene: tuple[Mask, Mask, Mask], radius: int) -> None:
    prediction, truth, void = scene
    expected = plain_boundary_measure(prediction, truth, void, radius)
    assert boundary_measure(prediction, truth, void, radius=radius) == expected
    assert boundary_measure(truth, prediction, void, radius=radius) == expected
    if not void.any():
        assert boundary_measure(prediction, truth, radius=radius) == expected


@UNHURRIED
@given(scenes(), st.floats(0.001, 0.5))
def test_f_takes_the_radius_from_the_diagonal(
    scene: tuple[Mask, Mask, Mask], bound_th: float
) -> None:
    prediction, truth, void = scene
    radius = math.ceil(bound_th * float(np.linalg.norm(truth.shape)))
    expected = plain_boundary_measure(prediction, truth, void, radius)
    assert boundary_measure(prediction, truth, void, bound_th=bound_th) == expected


@UNHURRIED
@given(scenes())
def test_j_is_exact(scene: tuple[Mask, Mask, Mask]) -> None:
    prediction, truth, void = scene
    assert region_similarity(*scene) == plain_region_similarity(*scene)
    nowhere = np.zeros_like(void)
    assert region_similarity(prediction, truth) == plain_region_similarity(
        prediction, truth, nowhere
    )


@UNHURRIED
@given(scenes(), RADII)
def test_masks_of_any_memory_order_score_the_same_and_stay_as_they_were(
    scene: tuple[Mask, Mask, Mask], radius: int
) -> None:
    prediction, truth, void = scene
    before = [mask.copy() for mask in scene]
    f = boundary_measure(prediction, truth, void, radius=radius)
    strided = np.zeros((truth.shape[0] * 2, truth.shape[1] * 3), np.bool_)[::2, ::3]
    strided[:] = truth
    assert boundary_measure(np.asfortranarray(prediction), strided, void, radius=radius) == f
    assert (
        boundary_measure(np.asfortranarray(prediction), truth.T.copy().T, void, radius=radius) == f
    )
    for mask, copy in zip(scene, before, strict=True):
        np.testing.assert_array_equal(mask, copy)


def picture(text: str) -> Mask:
    return np.array([[cell == "#" for cell in row] for row in text.split()])


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        pytest.param(".... .... ..#. ....", ".... .##. .##. ....", id="pixel"),
        pytest.param("#... .... ....", "#... .... ....", id="first corner"),
        pytest.param("... ... ..#", "... .## .#.", id="last corner is never marked"),
        pytest.param("... ... .#.", "... ##. ##.", id="last row looks east"),
        pytest.param("... ..# ...", ".## .## ...", id="last column looks south"),
        pytest.param("### ### ###", "... ... ...", id="full"),
        pytest.param("..#.", ".##.", id="one row"),
        pytest.param("#", ".", id="one pixel frame"),
    ],
)
def test_boundaries_by_hand(mask: str, expected: str) -> None:
    np.testing.assert_array_equal(boundary(picture(mask)), picture(expected))


def test_the_disk_includes_its_rim() -> None:
    left, right = np.zeros((2, 40, 40), np.bool_)
    left[10, 10] = right[13, 14] = True
    assert boundary_measure(left, right, radius=5) == 1
    assert 0 < boundary_measure(left, right, radius=4) < 1
    assert boundary_measure(left, right, radius=1) == 0


def test_empty_masks() -> None:
    empty, some = np.zeros((2, 30, 31), np.bool_)
    some[4:9, 5:12] = True
    assert (region_similarity(empty, empty), boundary_measure(empty, empty)) == (1, 1)
    assert (region_similarity(some, some), boundary_measure(some, some)) == (1, 1)
    for pair in ((empty, some), (some, empty)):
        assert (region_similarity(*pair), boundary_measure(*pair)) == (0, 0)
        # outside the void both are empty
        assert (region_similarity(*pair, some), boundary_measure(*pair, some)) == (1, 1)


@pytest.mark.parametrize(
    ("shape", "radius"),
    [((480, 854), 8), ((480, 480), 6), ((720, 1280), 12), ((1080, 1920), 18), ((300, 400), 4)],
)
def test_radius_of_a_frame(shape: tuple[int, int], radius: int) -> None:
    assert boundary_radius(shape) == radius


def test_a_small_radius_sees_what_the_frame_s_own_does_not() -> None:
    truth = np.zeros((1080, 1920), np.bool_)
    truth[300:900, 700:1200] = True
    moved = np.roll(truth, 14, axis=1)
    assert boundary_measure(moved, truth) == 1
    assert boundary_measure(moved, truth, radius=2) < 0.6
    assert boundary_measure(moved, truth, radius=1) < boundary_measure(moved, truth, radius=2)


@pytest.mark.parametrize("radius", [None, 1, 2])
def test_real_masks_score_as_with_the_disk_of_scikit_image(
    shared_data: Path, radius: int | None
) -> None:
    clips = sorted((shared_data / "video" / "Annotations" / "480p").iterdir())
    seen = set()
    for clip in clips if radius is None else clips[:3]:
        files = sorted(clip.glob("*.png"))
        prediction, truth = read_mask(files[10]), read_mask(files[15])
        pixels = boundary_radius(truth.shape) if radius is None else radius
        f = boundary_measure(prediction, truth, radius=radius)
        assert f == disk_boundary_measure(prediction, truth, pixels)
        seen.add(f)
    assert len(seen) > 2
    assert all(0 < f < 1 for f in seen)


@pytest.mark.parametrize("measure", [region_similarity, boundary_measure])
@pytest.mark.parametrize(
    ("prediction", "truth", "void", "words"),
    [
        (np.zeros((4, 5), bool), np.zeros((5, 4), bool), None, "prediction is"),
        (np.zeros((4, 5), bool), np.zeros((4, 5), bool), np.zeros((4, 4), bool), "void is"),
        (np.zeros((4, 5), np.uint8), np.zeros((4, 5), bool), None, "prediction is uint8"),
        (np.zeros((4, 5), bool), np.zeros((4, 5, 1), bool), None, "truth is bool"),
        (np.zeros((0, 5), bool), np.zeros((0, 5), bool), None, r"truth is bool \(0, 5\)"),
    ],
)
def test_what_is_no_pair_of_masks_is_refused(measure, prediction, truth, void, words) -> None:
    with pytest.raises(ValueError, match=words):
        measure(prediction, truth, void)


def test_impossible_radii_are_refused() -> None:
    mask = np.ones((4, 4), np.bool_)
    with pytest.raises(ValueError, match="radius is -1"):
        boundary_measure(mask, mask, radius=-1)
    for bound_th in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="share of the diagonal"):
            boundary_measure(mask, mask, bound_th=bound_th)


@pytest.mark.parametrize("count", [*range(1, 66), 253, 254, 255, 256, 257, 500, 1001])
def test_statistics_are_the_plain_definition_at_every_length(count: int) -> None:
    values = np.random.default_rng(count).random(count)
    assert statistics(values) == Statistics(
        mean=float(np.mean(values)),
        recall=sum(value > 0.5 for value in values) / count,
        decay=plain_decay(values),
    )
    assert statistics(values.tolist()) == statistics(values)
    if count < 256:
        assert statistics(values).decay == plain_decay(values, wrap=256)


def test_decay_of_long_clips_is_not_cut_at_eight_bits() -> None:
    values = np.linspace(1, 0, 500)
    decay = statistics(values).decay
    assert decay == plain_decay(values) == pytest.approx(0.749, abs=0.001)
    assert plain_decay(values, wrap=256) == pytest.approx(0.236, abs=0.001)


@pytest.mark.parametrize(
    ("values", "decay"),
    [
        ([0.7], 0),
        ([0.9, 0.4], 0.5),
        ([0.9, 0.6, 0.2], 0.75 - 0.2),
        ([0.8, 0.6, 0.4, 0.3], 0.7 - 0.35),
        ([0.8, 0.6, 0.9, 0.4, 0.3], 0.7 - 0.35),
    ],
)
def test_quarters_of_short_clips_share_their_edges(values: list[float], decay: float) -> None:
    assert statistics(values).decay == pytest.approx(decay)


def test_recall_is_strict() -> None:
    assert statistics([0.5, 0.5, 0.500001, 1.0]).recall == 0.5


def test_nan_counts_as_in_davis() -> None:
    assert statistics([0.8, math.nan, 0.6]) == Statistics(
        mean=pytest.approx(0.7), recall=pytest.approx(2 / 3), decay=pytest.approx(0.2)
    )
    nothing = statistics([math.nan, math.nan])
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.decay)
    assert nothing.recall == 0


def test_scores_of_clips_and_of_a_dataset() -> None:
    long, short = clip_scores([0.4] * 9, [0.6] * 9), clip_scores([0.8], [1.0])
    assert long.j_and_f == pytest.approx(0.5)
    both = dataset_scores([long, short])
    assert both == Scores(
        region=Statistics(pytest.approx(0.6), 0.5, 0), boundary=Statistics(pytest.approx(0.8), 1, 0)
    )
    assert both.j_and_f == pytest.approx(0.7)
    assert dataset_scores([short]) == short


def test_nothing_to_average_is_refused() -> None:
    with pytest.raises(ValueError, match="one score for each frame"):
        statistics([])
    with pytest.raises(ValueError, match="one score for each frame"):
        statistics(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="2 values of J but 1 of F"):
        clip_scores([0.1, 0.2], [0.1])
    with pytest.raises(ValueError, match="no clips"):
        dataset_scores([])
