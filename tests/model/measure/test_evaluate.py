"""Evaluations against scores worked out by hand, and the files they are written to."""

import base64
import csv
import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from labeler.clip import Image
from labeler.errors import LabelerError
from labeler.layouts.mvps import open_dataset
from labeler.mask import Mask
from labeler.metrics import boundary_measure, statistics
from labeler.reference import nearest_and_first
from model.data.folders import stills_from
from model.engines.baselines.baselines import NearestCopy
from model.measure.evaluate import (
    Scope,
    evaluate,
    evaluate_clip,
    evaluate_pictures,
    given_frames,
)
from model.measure.evaluate_page import drawn, evaluation_page
from model.measure.evaluate_report import evaluation_tables, to_json, write_evaluation
from model.measure.report import as_text
from model.measure.truth import MeasuredFrames, TruthClip, load_truth, segment_in_order
from model.segmenter import verbatim
from tests.labeler.made_datasets import made_dataset, write_indexed
from tests.model.made_clips import SIZE, MadeFrames, Scripted, made_davis, noise, square
from tests.model.made_sources import made_stills


def slow(frame: int) -> Mask:
    """A 40-pixel square that moves 5 pixels from one key frame to the next."""
    return square(10 + frame)


def resting(frame: int) -> Mask:
    return square(30)


def copied(distance: int) -> float:
    """J of that square against itself, `distance` pixels aside."""
    return (40 - distance) / (40 + distance)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return made_davis(tmp_path_factory.mktemp("davis"), {"resting": resting, "slow": slow})


def test_every_fifth_frame_is_scored_and_the_first_given(dataset):
    evaluation = evaluate(dataset, NearestCopy(), given=1)
    resting_clip, slow_clip = evaluation.clips
    assert [each.frame for each in slow_clip.frames] == list(range(0, 41, 5))
    assert [each.given for each in slow_clip.frames] == [True] + 8 * [False]
    assert [each.region for each in slow_clip.frames] == pytest.approx(
        [copied(min(distance, 40)) for distance in range(0, 45, 5)]
    )
    assert all(each.region == each.boundary == 1 for each in resting_clip.frames)
    for each in slow_clip.frames:
        truth = slow(each.frame)
        assert each.boundary == boundary_measure(square(10), truth)
        assert each.fine == tuple(boundary_measure(square(10), truth, radius=r) for r in (1, 2))
        assert each.j_and_f == (each.region + each.boundary) / 2


class Reddest(NearestCopy):
    """Takes whatever is red for a person."""

    choice = staticmethod(nearest_and_first)

    def segment(self, frames, targets, references):
        for target in targets:
            yield verbatim(target, frames[target][..., 2] > 200)


def test_pictures_are_scored_each_by_itself(tmp_path):
    stills = stills_from(made_stills(tmp_path / "stills", count=4))
    evaluation = evaluate_pictures(stills, Reddest())
    assert [clip.clip for clip in evaluation.clips] == [still.name for still in stills]
    # In every other picture there is a blue person too, of 40 x 70 beside 40 x 50.
    regions = [clip.frames[0].region for clip in evaluation.clips]
    assert regions == pytest.approx([1, 5 / 12, 1, 5 / 12])
    overall = evaluation.overall(Scope.ALL)
    assert overall is not None
    assert overall.scores.region.mean == pytest.approx(np.mean(regions))
    (table,) = evaluation_tables(evaluation)
    text = as_text(table)
    assert "mean of the pictures" in text
    assert stills[0].name not in text
    paths = write_evaluation(evaluation, tmp_path / "report")
    assert "4 pictures, each by itself" in paths[0].read_text()
    assert stills[0].name in paths[2].read_text()


def test_a_given_or_a_first_frame_can_be_left_out_and_clips_count_the_same(dataset):
    evaluation = evaluate(dataset, NearestCopy(), given=1)
    slow_clip = evaluation.clips[1]
    every, rest = (slow_clip.summary(scope) for scope in (Scope.ALL, Scope.WITHOUT_FIRST))
    assert every is not None
    assert rest is not None
    scores = [copied(distance) for distance in range(0, 45, 5)]
    assert (every.frames, rest.frames) == (9, 8)
    assert every.scores.region == statistics(scores)
    assert rest.scores.region == statistics(scores[1:])
    assert every.scores.region.recall == pytest.approx(3 / 9)  # 0, 5 and 10 pixels aside
    assert slow_clip.summary(Scope.WITHOUT_GIVEN) == rest
    overall = evaluation.overall(Scope.WITHOUT_FIRST)
    assert overall is not None
    assert overall.frames == 16
    assert overall.scores.region.mean == pytest.approx((1 + np.mean(scores[1:])) / 2)
    assert overall.fine[0] == pytest.approx((1 + rest.fine[0]) / 2)


def test_masks_are_given_evenly_and_nothing_is_left_where_all_are(dataset):
    evaluation = evaluate(dataset, NearestCopy(), clips=["slow"], given=3)
    (clip,) = evaluation.clips
    assert [each.frame for each in clip.frames if each.given] == [0, 20, 40]
    assert given_frames([0, 5], 7) == (0, 5)
    assert given_frames([0, 5], 0) == ()
    with pytest.raises(LabelerError, match="-1 masks cannot be given"):
        given_frames([0, 5], -1)
    everything = evaluate(dataset, NearestCopy(), clips=["slow"], given=9)
    assert everything.overall(Scope.WITHOUT_GIVEN) is None
    assert to_json(everything)["overall"]["without_given"] is None
    assert "-" in as_text(*evaluation_tables(everything))


def test_unguided_means_that_the_engine_sees_no_mask(dataset):
    engine = Scripted(slow, lambda frame, near: 0)
    evaluation = evaluate(dataset, engine, clips=["slow"])
    assert {tuple(known) for _, known in engine.asked} == {()}
    assert engine.asked[-1][0] == list(range(0, 41, 5))
    assert not any(each.given for each in evaluation.clips[0].frames)
    overall = evaluation.overall(Scope.ALL)
    assert overall is not None
    assert overall.scores.j_and_f == 1


def test_another_stride_measures_other_frames(dataset):
    clip = evaluate(dataset, NearestCopy(), clips=["slow"], stride=20).clips[0]
    assert [each.frame for each in clip.frames] == [0, 20, 40]


def test_an_mvps_dataset_is_measured_at_full_resolution_unless_told_otherwise(tmp_path):
    dataset = open_dataset(made_dataset(tmp_path))
    for resolution, expected in ((None, "Full-Resolution"), ("480p", "480p")):
        evaluation = evaluate(dataset, NearestCopy(), clips=["hike"], resolution=resolution)
        assert evaluation.resolution == expected
        assert [each.frame for each in evaluation.clips[0].frames] == [0, 5, 10]


def test_void_pixels_are_not_scored(tmp_path):
    dataset = made_davis(tmp_path, {"lucia": resting}, frames=1)
    values = resting(0).astype(np.uint8)
    values[30:70, 70:80] = 255
    write_indexed(tmp_path / "Annotations/480p/lucia/00000.png", values)
    truth = load_truth(dataset, "lucia")
    assert truth.truths[0].sum() == 1600
    assert truth.voids[0].sum() == 400
    into_void = resting(0) | truth.voids[0]
    assert truth.region(0, into_void) == truth.boundary(0, into_void) == 1
    assert truth.region(0, np.zeros(SIZE, bool)) == 0


def test_what_cannot_be_measured_is_refused(dataset, tmp_path):
    with pytest.raises(LabelerError, match="no clip 'hike'"):
        evaluate(dataset, NearestCopy(), clips=["hike"])
    with pytest.raises(LabelerError, match="no clip to measure"):
        evaluate(dataset, NearestCopy(), clips=[])
    bare = made_davis(tmp_path, {"lucia": resting}, frames=3)
    (tmp_path / "Annotations/480p/lucia/00000.png").unlink()
    with pytest.raises(LabelerError, match=r"No frame 0, 5, 10, \.\.\. of lucia .* has a mask"):
        evaluate(bare, NearestCopy())


class Skipping(NearestCopy):
    """Answers for other frames than it was asked for."""

    choice = staticmethod(nearest_and_first)

    def segment(self, frames, targets, references):
        return super().segment(frames, [t + 1 for t in targets], references)


def test_an_engine_that_answers_for_other_frames_is_not_scored(dataset):
    with pytest.raises(ValueError, match="asked for frame 0 but answered for 1"):
        evaluate(dataset, Skipping())
    with pytest.raises(ValueError, match="shorter"):
        list(segment_in_order(Lazy(), MadeFrames([noise(0)]), [0], None))


class Lazy(NearestCopy):
    """Answers for nothing."""

    choice = staticmethod(nearest_and_first)

    def segment(self, frames, targets, references):
        return iter(())


class SlowFrames(MadeFrames):
    """Takes 50 ms to read a picture."""

    def __getitem__(self, index: int) -> Image:
        time.sleep(0.05)
        return super().__getitem__(index)


def test_time_in_which_pictures_are_read_is_left_out():
    truths = {index: resting(index) for index in range(4)}
    clip = TruthClip("lucia", SlowFrames([noise(0)] * 4), truths, {})
    evaluation, _ = evaluate_clip(clip, NearestCopy())
    assert evaluation.seconds < 0.1  # reading alone took 0.2
    assert evaluation.fps == 4 / evaluation.seconds


def test_pictures_read_side_by_side_count_once():
    frames = MeasuredFrames(SlowFrames([noise(0)] * 8))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(frames.__getitem__, range(8)))
    assert 0.1 <= frames.seconds_reading < 0.4  # what they take one after the other


def test_every_evaluation_of_a_clip_starts_without_kept_features(dataset):
    engine = Scripted(slow, lambda frame, near: 0)
    evaluate(dataset, engine, clips=["slow"])
    evaluate(dataset, engine, clips=["slow"])
    assert len(engine.keys) == len(engine.asked) == 4  # a frame to warm up, and the clip, twice


def test_the_worst_frames_come_first_and_no_clip_fills_the_list(dataset):
    engine = Scripted(slow, lambda frame, near: None if frame == 15 else frame % 4)
    seen = []
    evaluation = evaluate(dataset, engine, progress=lambda *done: seen.append(done))
    assert seen == [(1, 2), (2, 2)]
    scores = [each.scores.j_and_f for each in evaluation.worst]
    assert scores == sorted(scores)
    assert max(Counter(each.clip for each in evaluation.worst).values()) == 4
    assert {each.scores.frame for each in evaluation.worst[:2]} == {15}


def test_the_files_hold_the_numbers(dataset, tmp_path):
    evaluation = evaluate(dataset, NearestCopy(), given=1)
    text, data, table, page = write_evaluation(evaluation, tmp_path / "report")
    assert [path.name for path in (text, data, table, page)] == [
        f"evaluation.{suffix}" for suffix in ("txt", "json", "csv", "html")
    ]
    overall = evaluation.overall(Scope.ALL)
    assert overall is not None
    expected = f"{100 * overall.scores.j_and_f:.1f}"
    assert re.search(rf"mean of the clips +│ +{expected} ", text.read_text())
    assert "the first frame's mask given" in text.read_text()

    told = json.loads(data.read_text())
    assert told["overall"]["all"]["j_and_f"] == overall.scores.j_and_f
    assert told["overall"]["all"]["boundary_within_px"]["1"] == overall.fine[0]
    assert told["clips"][1]["frames"][1]["region"] == pytest.approx(copied(5))
    assert told["clips"][1]["scores"]["without_first"]["frames"] == 8

    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 3 * 3  # two clips and their mean, counted in three ways
    assert rows[2]["clip"] == "*"
    assert float(rows[2]["J&F"]) == overall.scores.j_and_f
    assert all(float(row["fps"]) > 0 for row in rows)

    html = page.read_text()
    assert "http" not in html
    assert 'src="data:image/jpeg;base64,' in html
    assert html.count("<figure>") == len(evaluation.worst) == 8
    first = re.search(r"base64,([^\"]+)", html)
    assert first is not None
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(first[1]), np.uint8), 1)
    assert picture is not None
    assert picture.shape == (360, 480, 3)


def test_a_page_shows_names_as_they_are_written():
    page = evaluation_page("<one>", ["a & b"], [("table", ["<x>"], [["<y>"]])], [])
    for escaped in ("&lt;one&gt;", "a &amp; b", "&lt;x&gt;", "&lt;y&gt;"):
        assert escaped in page
    assert "<one>" not in page


def test_a_drawing_tints_the_prediction_and_outlines_the_truth():
    grey = np.full((*SIZE, 3), 100, np.uint8)
    picture = drawn(grey, square(30), square(60))
    blue, _, red = picture[int(50 * 3.75), int(40 * 3.75)]  # inside the prediction alone
    assert red > 150 > 100 > blue
    blue, _, red = picture[int(50 * 3.75), int(99.5 * 3.75)]  # the right edge of the truth
    assert blue > 200 > 100 > red
    assert np.array_equal(picture[5, 5], [100, 100, 100])
    assert (grey == 100).all()


def test_real_clips_are_scored(shared_data):
    dataset = open_dataset(shared_data / "video")
    evaluation = evaluate(dataset, NearestCopy(), clips=["lucia"], given=3)
    (clip,) = evaluation.clips
    assert [each.frame for each in clip.frames] == list(range(0, 70, 5))
    assert [each.region for each in clip.frames if each.given] == [1, 1, 1]
    rest = clip.summary(Scope.WITHOUT_GIVEN)
    assert rest is not None
    assert 0.1 < rest.scores.j_and_f < 0.9
