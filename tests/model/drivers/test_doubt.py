"""An uncertainty that is the error to expect."""

import json

import numpy as np
import pytest

from labeler.errors import LabelerError
from model.card import CARD_FILE, read_card
from model.drivers.doubt import CalibratedSegmenter, Calibration
from model.loading import load_segmenter
from tests.model.drivers.test_seeded import Finder
from tests.model.engines.pdnet.test_segmenter import MadeFrames, book, disk
from tests.tiny import tiny_weights


def too_sure(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Errors, and the uncertainty of a network that takes them for half as large."""
    rng = np.random.default_rng(0)
    errors = rng.beta(1, 6, count)
    return errors / 2, (errors + rng.normal(0, 0.02, count)).clip(0, 1)


def test_the_mean_becomes_that_of_the_errors_and_the_order_stays():
    doubts, errors = too_sure()
    found = Calibration.fitted(doubts[::2].tolist(), errors[::2].tolist())
    unseen = np.array([found.of(doubt) for doubt in doubts[1::2]])
    assert abs(doubts[1::2].mean() - errors[1::2].mean()) > 0.05
    assert abs(unseen.mean() - errors[1::2].mean()) < 0.01
    assert (np.argsort(unseen) == np.argsort(doubts[1::2])).all()
    assert ((unseen >= 0) & (unseen <= 1)).all()


def test_masks_of_people_stay_certain_and_no_numbers_change_nothing():
    assert Calibration(2.0, 3.0).of(0.0) == 0.0
    assert Calibration.of_card({}).of(0.3) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="three masks"):
        Calibration.fitted([0.1, 0.2], [0.1, 0.2])


def test_an_engine_is_calibrated_and_its_masks_stay():
    frames, finder = MadeFrames(20), Finder(doubts={10: 0.1})
    calibrated = CalibratedSegmenter(finder, Calibration(1.0, 1.0))
    for given in (book(), book(f5=disk(37))):
        [plain] = finder.segment(frames, [10], given)
        [found] = calibrated.segment(frames, [10], given)
        assert (found.probability == plain.probability).all()
        assert found.uncertainty == Calibration(1.0, 1.0).of(plain.uncertainty)
        assert found.uncertainty > plain.uncertainty
    [person] = calibrated.segment(frames, [5], book(f5=disk(37)))
    assert person.uncertainty == 0


def test_a_card_says_how_to_calibrate(tmp_path):
    folder = tiny_weights(tmp_path / "tiny")
    frames = MadeFrames(20)

    def doubt(**how: bool) -> float:
        segmenter, _ = load_segmenter(str(folder), device="cpu", **how)
        [found] = segmenter.segment(frames, [10], book())
        return found.uncertainty

    plain = doubt()
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | {"doubt": {"slope": 1.0, "intercept": 2.0}}))
    assert doubt() == pytest.approx(Calibration(1.0, 2.0).of(plain))
    assert doubt(calibrated=False) == plain
    assert doubt(alone=True) != doubt()
    (folder / CARD_FILE).write_text(json.dumps(card | {"doubt": {"slope": "steep"}}))
    with pytest.raises(LabelerError, match="its doubt has something that is no number"):
        read_card(folder)
