"""PDNet, the part-decoupling network: finds people, and follows masks that are given.

Yu, Xia and Li 2024, "Towards imbalanced motion: part-decoupling network for video portrait
segmentation".
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.engine import Engine, Use
from model.engines.pdnet.paper import PDNetOptions, looks
from model.engines.pdnet.recipes import CONFIGURATIONS, RECIPES

if TYPE_CHECKING:
    from model.segmenter import Segmenter


def _network(config: Any) -> Any:
    from model.engines.pdnet.network import PDNet

    return PDNet(config)


def _segmenter(network: Any, use: Use) -> "Segmenter":
    from model.drivers.matcher import Matcher

    return Matcher(network, *looks(use))


def _learner(network: Any, recipe: Any) -> Any:
    from model.engines.pdnet.learner import PDNetLearner, seeing_body

    return PDNetLearner(network, recipe, seeing_body(recipe))


ENGINES = (
    Engine(
        "pdnet",
        CONFIGURATIONS,
        _network,
        _segmenter,
        _learner,
        RECIPES,
        PDNetOptions,
        # The second look has the size of the close-ups in training.
        lambda recipe: {"close_up_size": recipe.size if recipe.samples.close else 0},
        finds=True,
        weights=Path(__file__).parent / "weights",
        default="pdnet-lite",
        first_choice=True,  # not the pair; docs/results.md compares how many corrections each takes
    ),
)
