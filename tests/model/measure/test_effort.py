"""The effort with engines whose answer to every correction is known beforehand."""

import json
import sys

import cv2
import numpy as np
import pytest

from labeler.errors import LabelerError
from labeler.layouts.mvps import open_dataset
from labeler.mask import Mask
from labeler.metrics import boundary, boundary_measure, region_similarity
from model.engine import baselines
from model.engines.baselines.baselines import NothingPropagated
from model.measure.effort import EARLY, SHARES, Order, area, clip_effort, curve_of, measure_effort
from model.measure.effort_report import effort_tables, to_json, write_effort
from model.measure.report import as_text
from model.measure.robot import CorrectedClip, Correction, Robot, first_below, worst_first
from model.measure.truth import TruthClip, load_truth
from tests.model.made_clips import MadeFrames, Scripted, made_davis, noise, square


def resting(frame: int) -> Mask:
    return square(30)


def key_frames(count: int) -> TruthClip:
    """A clip of that many key frames, at 0, 5, 10, ..."""
    frames = MadeFrames([noise(0)] * (5 * count - 4))
    return TruthClip("lucia", frames, {5 * i: resting(5 * i) for i in range(count)}, {})


def shifted(by: int) -> float:
    """J&F of the square, moved aside by so many pixels."""
    truth, prediction = square(30), square(30 + by)
    return (region_similarity(prediction, truth) + boundary_measure(prediction, truth)) / 2


GOOD, FAIR = shifted(1), shifted(2)


def by_distance(frame: int, near: list[int]) -> int | None:
    """Good next to a correction, fair two key frames away, empty farther off."""
    distance = min((abs(frame - each) for each in near), default=99)
    return {5: 1, 10: 2}.get(distance)


def corrected(run: CorrectedClip) -> list[int]:
    return [each.frame for each in run.corrections]


@pytest.fixture(scope="module")
def effort():
    """Nine key frames; corrections reach two key frames far on both sides."""
    engine = Scripted(resting, by_distance, uncertainty=lambda frame: abs(frame - 20) / 40)
    return clip_effort(key_frames(9), engine, (0.94, 0.96, 0.98))


def test_the_script_is_what_the_expectations_below_are_made_of():
    assert 0.94 < FAIR < 0.96 < GOOD < 0.98


def test_worst_first_needs_every_third_frame_for_fair_masks_and_one_more_for_good_ones(effort):
    run = effort.complete[Order.WORST_FIRST]
    assert corrected(run)[:4] == [0, 15, 30, 40]
    assert effort.corrected_share(0.94) == 3 / 9
    assert effort.corrected_share(0.96) == 4 / 9
    assert effort.corrected_share(0.98) == 1
    assert sorted(corrected(run)) == list(range(0, 45, 5))


def test_first_below_q_goes_through_the_clip(effort):
    assert corrected(effort.sequential[0.94]) == [0, 15, 30]
    assert corrected(effort.sequential[0.96]) == [0, 10, 20, 30, 40]
    assert effort.corrected_share(0.96, Order.SEQUENTIAL) == 5 / 9
    assert corrected(effort.sequential[0.98]) == list(range(0, 45, 5))


def test_most_uncertain_follows_the_engine(effort):
    run = effort.complete[Order.UNCERTAINTY]
    assert corrected(run) == [0, 40, 5, 35, 10, 30, 15, 25, 20]
    # 20 is fair once 10 is corrected, and good once 15 is
    assert effort.corrected_share(0.94, Order.UNCERTAINTY) == 5 / 9
    assert effort.corrected_share(0.96, Order.UNCERTAINTY) == 7 / 9


def test_without_propagation_every_frame_is_corrected(effort):
    run = effort.complete[Order.NO_PROPAGATION]
    assert effort.corrected_share(0.94, Order.NO_PROPAGATION) == 1
    assert run.scores.mean(axis=1) == pytest.approx(np.arange(10) / 9)


def test_the_curve_is_what_the_script_says(effort):
    scores = effort.complete[Order.WORST_FIRST].scores.mean(axis=1)
    expected = [
        0,
        1 + GOOD + FAIR,
        2 + 3 * GOOD + FAIR,
        3 + 5 * GOOD + FAIR,
        *(k + (9 - k) * GOOD for k in range(4, 10)),
    ]
    assert scores == pytest.approx(np.array(expected) / 9)


def test_wrong_outlines_are_counted_before_the_correction(effort):
    run = effort.complete[Order.WORST_FIRST]
    whole = np.count_nonzero(boundary(square(30)))
    fair = np.count_nonzero(boundary(square(30) ^ square(32)))
    assert [each.boundary_pixels for each in run.corrections[:4]] == [whole, whole, whole, fair]
    assert effort.pixels_per_frame(0.94) == 3 * whole / 9
    assert effort.pixels_per_frame(0.96) == (3 * whole + fair) / 9


def test_only_frames_whose_references_changed_are_segmented_again():
    engine = Scripted(resting, by_distance)
    run = Robot(key_frames(9), engine).run(worst_first)
    asked = [(targets, known) for targets, known in engine.asked if targets]
    assert asked[0] == (list(range(0, 45, 5)), [])
    assert asked[1] == (list(range(5, 45, 5)), [0])
    assert asked[2] == ([0], [0])  # the corrected frame: is it as it was given?
    assert asked[3] == ([5, 10, *range(20, 45, 5)], [0, 15])
    assert asked[4] == ([0, 15], [0, 15])
    assert asked[5] == ([20, 25, 35, 40], [0, 15, 30])  # 5 and 10 lie between 0 and 15
    assert asked[6] == ([15, 30], [0, 15, 30])
    assert asked[-1] == (list(range(0, 45, 5)), list(range(0, 45, 5)))
    assert [each.resegmented for each in run.corrections[:4]] == [8, 7, 4, 1]
    assert all((each.seconds is None) == (each.resegmented == 0) for each in run.corrections)


def test_other_orders_to_compare_with(effort):
    every = list(range(0, 45, 5))
    assert corrected(effort.complete[Order.IN_ORDER]) == every
    chance = corrected(effort.complete[Order.RANDOM])
    assert sorted(chance) == every != chance
    # All frames look alike here: what counts is how unsure the engine is, and the distance.
    first, second, *_ = corrected(effort.complete[Order.PRIORITY])
    assert (first, second) == (0, 40)
    assert sorted(corrected(effort.complete[Order.PRIORITY])) == every


def test_what_is_known_is_not_segmented_again_in_another_order():
    engine = Scripted(resting, by_distance)
    robot = Robot(key_frames(9), engine)
    first = robot.run(worst_first)
    engine.asked.clear()
    again = robot.run(worst_first)
    free = [target for targets, known in engine.asked for target in targets if target not in known]
    assert free == []
    assert np.array_equal(again.scores, first.scores)
    assert all(each.seconds is None for each in again.corrections)


def test_frames_that_a_correction_makes_worse_are_counted():
    engine = Scripted(resting, lambda frame, near: 4 if near else (None if frame == 0 else 1))
    run = Robot(key_frames(5), engine).run(worst_first)
    assert run.corrections[0].frame == 0
    assert run.corrections[0].worse == run.corrections[0].resegmented == 4
    assert sum(each.worse for each in run.corrections) == 4


def test_a_loss_of_a_hundredth_is_no_worse():
    engine = Scripted(resting, lambda frame, near: None if frame == 0 and not near else 1)
    run = Robot(key_frames(5), engine).run(worst_first)
    assert all(each.worse == 0 for each in run.corrections)


def test_altered_corrections_are_noticed_and_count_against_the_engine():
    honest = clip_effort(key_frames(5), Scripted(resting, by_distance), (0.98,))
    engine = Scripted(resting, by_distance, alters=True)
    altering = clip_effort(key_frames(5), engine, (0.98,))
    assert all(run.altered == 0 for run in honest.runs)
    run = altering.complete[Order.WORST_FIRST]
    assert run.altered == run.checked > 5
    assert (run.scores[-1] == GOOD).all()
    assert altering.corrected_share(0.98) == 1
    assert len(altering.sequential[0.98].corrections) == 5  # no frame is corrected twice


def test_a_clip_that_needs_nothing_costs_nothing():
    found = clip_effort(key_frames(3), Scripted(resting, lambda frame, near: 1), (0.96,))
    assert all(found.corrected_share(0.96, order) == 0 for order in Order)
    assert found.pixels_per_frame(0.96) == 0
    assert found.sequential[0.96].corrections == ()


def test_a_void_difference_is_no_work():
    clip = key_frames(1)
    void = square(34) & ~square(30)
    clip = TruthClip(clip.name, clip.frames, clip.truths, {0: void})
    robot = Robot(clip, Scripted(lambda frame: square(30) | void, lambda frame, near: 0))
    run = robot.run(worst_first)
    assert run.scores[0, 0] == 1
    assert run.corrections[0].boundary_pixels == 0


def made_run() -> CorrectedClip:
    """Two frames; correcting the first leaves the second at one half."""
    return CorrectedClip(
        (0, 5),
        np.array([[0, 0.5], [1, 0.5], [1, 1]]),
        (Correction(0, 0, 1, 0, 0.1), Correction(5, 0, 0, 0, None)),
        0,
        0,
    )


def test_curves_and_their_areas_by_hand():
    every = curve_of(made_run())
    assert every[[0, 25, 50, 100]] == pytest.approx([0.25, 0.5, 0.75, 1])
    assert area(every) == pytest.approx(0.6875)
    assert area(every, EARLY) == pytest.approx((0.25 + 0.55) / 2)
    others = curve_of(made_run(), uncorrected_only=True)
    assert others[[0, 25, 50, 100]] == pytest.approx([0.25, 0.375, 0.5, 0.5])
    assert area(others) == pytest.approx(0.4375)
    assert len(every) == len(SHARES) == 101


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    clips = {"long": resting, "short": resting}
    folder = tmp_path_factory.mktemp("davis")
    made_davis(folder, clips, frames=41)
    for index in range(21, 41):
        (folder / f"JPEGImages/480p/short/{index:05d}.jpg").unlink()
        (folder / f"Annotations/480p/short/{index:05d}.png").unlink()
    return open_dataset(folder)


@pytest.fixture(scope="module")
def measured(dataset):
    seen: list[tuple[int, int]] = []
    engines = {
        "nothing": NothingPropagated(),
        "scripted": Scripted(resting, by_distance),
        "copy": baselines()["copy"].segmenter(),
    }
    found = measure_effort(
        dataset, engines, qualities=(0.94, 0.96), progress=lambda *done: seen.append(done)
    )
    assert seen == [(done, 6) for done in range(1, 7)]
    return found


def test_clips_count_the_same_whatever_their_length(measured):
    nothing, scripted, copy = measured.engines
    # nine key frames need three corrections, five need 0 and 15
    assert scripted.corrected_shares(0.94) == (3 / 9, 2 / 5)
    assert scripted.corrected_share(0.94) == pytest.approx((3 / 9 + 2 / 5) / 2)
    assert scripted.propagation_gain(0.94) == pytest.approx(1 - (3 / 9 + 2 / 5) / 2)
    assert nothing.corrected_share(0.96) == 1
    assert nothing.propagation_gain(0.96) == 0
    assert copy.corrected_shares(0.96) == (1 / 9, 1 / 5)
    assert nothing.model_version == "nothing-empty-1.0.0+00000000"


def test_behaviour_is_summed_over_clips_and_corrections(measured):
    for engine in measured.engines:
        assert engine.altered == 0 < engine.checked
        assert engine.worse_share == 0
    copy = measured.engines[2]
    # from the first frame on a correction changes the rest of the clip
    assert copy.resegmented_per_correction == (sum(range(9)) + sum(range(5))) / 14
    low, high = (copy.refresh_seconds(percentile) for percentile in (50, 95))
    assert low is not None
    assert high is not None
    assert 0 < low <= high


def test_every_engine_is_compared_with_the_first(measured):
    found = {(each.engine, each.quality): each for each in measured.comparisons()}
    assert len(found) == 4
    copy = found["copy", 0.96].difference
    assert copy.difference == pytest.approx((1 / 9 + 1 / 5) / 2 - 1)
    assert copy.low == pytest.approx(1 / 9 - 1)
    assert copy.high == pytest.approx(1 / 5 - 1)
    assert found["scripted", 0.94].baseline == "nothing"


def test_sequential_runs_have_no_whole_curve(measured):
    with pytest.raises(KeyError):
        measured.engines[0].curve(Order.SEQUENTIAL)


def test_what_cannot_be_measured_is_refused(dataset):
    engines = {"nothing": NothingPropagated()}
    with pytest.raises(LabelerError, match="no engine"):
        measure_effort(dataset, {})
    for qualities in ((), (0.9, 90), (0.0,)):
        with pytest.raises(LabelerError, match="above 0 and at most 1"):
            measure_effort(dataset, engines, qualities=qualities)
    with pytest.raises(LabelerError, match="no clip 'hike'"):
        measure_effort(dataset, engines, clips=["hike"])


def test_the_files_hold_the_numbers(measured, tmp_path):
    text, data, picture = write_effort(measured, tmp_path / "report")
    assert [path.name for path in (text, data, picture)] == [
        f"effort.{suffix}" for suffix in ("txt", "json", "png")
    ]
    assert "2 clips, 14 key frames (every 5th, 480p)" in text.read_text()
    told = json.loads(data.read_text())
    scripted = told["engines"][1]
    assert scripted["corrected_share"]["worst_first"]["0.94"] == pytest.approx((3 / 9 + 2 / 5) / 2)
    assert scripted["clips"][0]["corrected_in_order"]["worst_first"][:3] == [0, 15, 30]
    assert scripted["altered"] == 0
    assert len(scripted["curve"]["worst_first"]["others"]) == len(told["curve_shares"]) == 101
    assert len(told["comparisons"]) == 4
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert drawn.std() > 10


def test_one_engine_is_compared_with_none(dataset):
    alone = measure_effort(dataset, {"copy": baselines()["copy"].segmenter()}, clips=["short"])
    assert len(effort_tables(alone)) == 3
    assert to_json(alone)["comparisons"] == []
    assert "Difference" not in as_text(*effort_tables(alone))


def test_without_matplotlib_the_numbers_are_written_all_the_same(
    measured, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    paths = write_effort(measured, tmp_path)
    assert [path.name for path in paths] == ["effort.txt", "effort.json"]
    assert "matplotlib is not installed" in " ".join(capsys.readouterr().err.split())
    assert json.loads(paths[1].read_text())["engines"]


def test_flow_leaves_less_to_do_than_a_copy_on_a_real_clip(shared_data):
    dataset = open_dataset(shared_data / "video")
    effort = {
        name: clip_effort(load_truth(dataset, "hike", stride=10), baselines()[name].segmenter())
        for name in ("copy", "flow")
    }
    areas = {
        name: area(curve_of(each.complete[Order.WORST_FIRST], uncorrected_only=True))
        for name, each in effort.items()
    }
    assert areas["flow"] > areas["copy"] + 0.1
    assert all(run.altered == 0 for each in effort.values() for run in each.runs)


def test_a_robot_stops_where_the_order_names_no_frame():
    run = Robot(key_frames(3), Scripted(resting, by_distance)).run(first_below(0.5))
    assert corrected(run) == [0]
    assert run.scores.shape == (2, 3)
