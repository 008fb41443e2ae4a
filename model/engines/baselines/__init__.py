"""Engines without training, which a network has to beat to be worth running."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from model.engine import Baseline

if TYPE_CHECKING:
    from model.segmenter import Segmenter


def _make(name: str) -> "Segmenter":
    from model.engines.baselines import baselines

    made: Callable[[], Segmenter] = getattr(baselines, name)
    return made()


ENGINES = (
    Baseline("nothing", partial(_make, "NothingPropagated")),
    Baseline("copy", partial(_make, "NearestCopy")),
    Baseline("distance", partial(_make, "SignedDistance")),
    Baseline("flow", partial(_make, "FlowWarp")),
)
