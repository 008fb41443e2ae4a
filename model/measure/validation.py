"""How good new weights are on what was kept out of their training."""

from functools import partial

from model.data.sources import Sources
from model.measure.evaluate import Scope, evaluate_pictures, evaluate_truths
from model.measure.truth import truth_of_take
from model.segmenter import Segmenter


def held_out_scores(held_out: Sources, segmenter: Segmenter) -> dict[str, float]:
    """Return J and F, 0 to 1, by name, for a model card.

    Of the clips the mean of every fifth frame but the first: with nothing given, and with the
    first frame's mask given. Of the pictures, each by itself.

    Raises:
        LabelerError: a file is missing or damaged.
    """
    found = {}
    if held_out.clips:
        truths = [partial(truth_of_take, take) for take in held_out.clips]
        for given, name in ((0, "clips, unguided"), (1, "clips, first mask given")):
            summary = evaluate_truths(truths, segmenter, given).overall(Scope.WITHOUT_FIRST)
            if summary is not None:
                found[f"{name}: J"] = round(summary.scores.region.mean, 4)
                found[f"{name}: F"] = round(summary.scores.boundary.mean, 4)
    if held_out.stills:
        summary = evaluate_pictures(held_out.stills, segmenter).overall(Scope.ALL)
        if summary is not None:
            found["pictures: J"] = round(summary.scores.region.mean, 4)
            found["pictures: F"] = round(summary.scores.boundary.mean, 4)
    return found
