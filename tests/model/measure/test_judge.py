"""What makes new weights the champion, and what does not."""

import re

import numpy as np
import pytest

from labeler.publish.snapshot import take_snapshot
from labeler.reference import nearest_and_first
from model.data.snapshot import held_out_takes
from model.measure.judge import (
    ClipScores,
    Criteria,
    JudgedClip,
    Outcome,
    judge,
    judge_page,
    verdict_of,
)
from model.segmenter import Segmentation
from tests.accepted import accepted_clip, figure


def clips(gains, fewer=None, scenarios=None):
    """Clips by how much J&F rises and how much less is to correct."""
    fewer = fewer or [0.0] * len(gains)
    scenarios = scenarios or ["news"] * len(gains)
    return [
        JudgedClip(
            f"clip{n}",
            scenario,
            ClipScores(0.7, 0.5, 20),
            ClipScores(0.7 + gain, 0.5 - less, 20),
        )
        for n, (gain, less, scenario) in enumerate(zip(gains, fewer, scenarios, strict=True))
    ]


SURE = [0.02, 0.03, 0.05, 0.04, 0.03, 0.02]


@pytest.mark.parametrize(
    ("judged", "outcome", "said"),
    [
        (clips(SURE), Outcome.BETTER, "Promoted: J&F is higher by 3.2"),
        (
            clips([0.0] * 6, fewer=[0.1, 0.2, 0.1, 0.2, 0.1, 0.2]),
            Outcome.BETTER,
            "Promoted: 15.0 % fewer frames need a correction",
        ),
        (clips([0.001] * 6), Outcome.WORSE, "J&F is higher .* but by less than 0.2"),
        (clips([0.003] * 6), Outcome.BETTER, "J&F is higher by 0.3"),
        (clips([0.0] * 6), Outcome.WORSE, "neither J&F .* are better beyond chance"),
        (clips([0.09, -0.08, 0.09, -0.08, 0.07, -0.06]), Outcome.WORSE, "beyond chance"),
        (clips([-x for x in SURE]), Outcome.WORSE, "J&F is lower by 3.2"),
        (  # fewer corrections do not make up for lower J&F
            clips([-0.01] * 6, fewer=[0.3] * 6),
            Outcome.WORSE,
            "J&F is lower by 1.0",
        ),
        (
            clips([0.1] * 5 + [-0.05], scenarios=["news"] * 5 + ["lecture"]),
            Outcome.WORSE,
            "in lecture J&F falls by 5.0, more than 2.0",
        ),
        (clips(SURE[:4]), Outcome.UNSURE, "on 4 locked clips only, and 5 are needed"),
        ([], Outcome.UNSURE, "there is no locked clip to judge on"),
    ],
)
def test_the_verdict(judged, outcome, said):
    verdict = verdict_of("old-1.0.0+1", "new-1.0.1+2", judged)
    assert verdict.outcome is outcome
    assert re.search(said, verdict.sentence)
    assert verdict.sentence.startswith("Promoted" if outcome is Outcome.BETTER else "Not promoted")
    page = judge_page(verdict, [])
    assert "new-1.0.1+2 against old-1.0.0+1" in page
    assert page.count("<tr>") == (len(judged) + 2 if judged else 0)


@pytest.mark.parametrize(
    ("judged", "outcome", "said"),
    [
        (  # J&F of a clip without corrections does not count
            clips([-0.7] * 6, fewer=[0.1, 0.2, 0.1, 0.2, 0.1, 0.2]),
            Outcome.BETTER,
            "^Promoted: 15.0 % fewer frames need a correction \\(",
        ),
        (clips(SURE), Outcome.WORSE, "the frames to correct .* are not fewer beyond chance"),
        (
            clips(SURE, fewer=[0.3] * 5 + [-0.1], scenarios=["news"] * 5 + ["lecture"]),
            Outcome.WORSE,
            "in lecture the share of frames to correct rises by 10.0, more than 2.0",
        ),
    ],
)
def test_engines_are_compared_by_what_is_left_to_correct(judged, outcome, said):
    verdict = verdict_of("old-1.0.0+1", "new-1.0.1+2", judged, Criteria(by_effort=True))
    assert verdict.outcome is outcome
    assert re.search(said, verdict.sentence)


class Shifted:
    """An engine that is so many pixels off, but learns from a correction."""

    def __init__(self, version, seeds, off):
        self.model_version, self.seeds, self.off = version, seeds, off

    choice = staticmethod(nearest_and_first)

    def segment(self, frames, targets, references):
        for target in targets:
            if (given := references.corrected(target)) is not None:
                yield Segmentation(target, given.mask.astype(np.float32), 0.0)
                continue
            known = any(each.mask is not None for each in references.references_for(target))
            seed = self.seeds[frames.key.split(":")[0]]
            mask = np.roll(figure(target, seed), 1 if known else self.off, axis=1)
            yield Segmentation(target, mask.astype(np.float32), 0.5)


def test_engines_are_compared_on_the_locked_clips(workspace):
    seeds = {f"clip{seed}": seed for seed in range(1, 6)}
    for name, seed in seeds.items():
        accepted_clip(workspace, name, seed)
    takes = held_out_takes(take_snapshot(workspace, 0.4), workspace.root)
    seen = []
    verdict, worst = judge(
        takes,
        ["news", "news"],
        Shifted("old-1.0.0+1", seeds, 9),
        Shifted("new-1.0.1+2", seeds, 4),
        criteria=Criteria(fewest=2),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [clip.name for clip in verdict.clips] == [take.name for take in takes]
    for clip in verdict.clips:
        assert clip.candidate.j_and_f > clip.champion.j_and_f + 0.05
        assert clip.candidate.corrected <= clip.champion.corrected
        assert clip.candidate.ms > 0
    assert verdict.outcome is Outcome.BETTER
    assert len(worst) == 6
    for pair in worst:
        assert pair.champion.scores.frame == pair.candidate.scores.frame
        assert pair.champion.scores.j_and_f < pair.candidate.scores.j_and_f
    page = judge_page(verdict, worst)
    assert page.count("<img") == 12
    assert "frame 5, champion" in page
    twice = [Shifted("a-1.0.0+1", seeds, 4)] * 2
    same, _ = judge(takes, ["news", "news"], *twice, criteria=Criteria(fewest=2))
    assert same.outcome is Outcome.WORSE
