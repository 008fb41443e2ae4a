"""GAM: carries a given mask through a clip, with a memory that does not grow.

"Real-time video object segmentation at high resolution", with its global attention.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labeler.reference import nearest_and_first
from model.engine import Engine, Use
from model.engines.gam.recipes import CONFIGURATIONS, RECIPES

if TYPE_CHECKING:
    from model.segmenter import Segmenter


def _network(config: Any) -> Any:
    from model.engines.gam.network import GAM

    return GAM(config)


def _segmenter(network: Any, use: Use) -> "Segmenter":
    from model.drivers.carrier import Carrier
    from model.drivers.windows import WindowCarrying

    carrying = WindowCarrying[Any, Any, Any](network, use.device, input_size=use.input_size)
    # One memory for all corrections of a clip would be more like the paper, but then each of them
    # would change every frame, and what is stored would depend on the order of people's work.
    return Carrier(carrying, use.model_version, nearest_and_first)


def _learner(network: Any, recipe: Any) -> Any:
    from model.engines.gam.learner import GAMLearner

    return GAMLearner(network, recipe)


ENGINES = (
    Engine(
        "gam",
        CONFIGURATIONS,
        _network,
        _segmenter,
        _learner,
        RECIPES,
        weights=Path(__file__).parent / "weights",
        default="gam-small",
    ),
)
