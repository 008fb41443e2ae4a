"""The networks and their life cycle; nothing in this package knows of Label Studio.

The names listed here are public. Each name is imported when it is first used, so that
`import model` does not wait for torch.
"""

from typing import TYPE_CHECKING

from labeler.lazy import import_lazily
from labeler.version import __version__

if TYPE_CHECKING:
    from model.card import ModelCard, read_card
    from model.data.layouts import portraits_from
    from model.data.sources import Sources
    from model.engine import Baseline, Engine, JointEngine, known_engines
    from model.learning.recipe import Recipe
    from model.loading import default_model, find_device, load_segmenter
    from model.measure.effort import Effort, measure_effort
    from model.measure.evaluate import Evaluation, evaluate
    from model.measure.judge import Verdict, judge
    from model.registry import ModelRegistry
    from model.segmenter import Segmentation, Segmenter
    from model.training.run import train

__all__ = [
    "Baseline",
    "Effort",
    "Engine",
    "Evaluation",
    "JointEngine",
    "ModelCard",
    "ModelRegistry",
    "Recipe",
    "Segmentation",
    "Segmenter",
    "Sources",
    "Verdict",
    "__version__",
    "default_model",
    "evaluate",
    "find_device",
    "judge",
    "known_engines",
    "load_segmenter",
    "measure_effort",
    "portraits_from",
    "read_card",
    "train",
]

_HOMES = {
    "Baseline": "model.engine",
    "Effort": "model.measure.effort",
    "Engine": "model.engine",
    "JointEngine": "model.engine",
    "Evaluation": "model.measure.evaluate",
    "ModelCard": "model.card",
    "ModelRegistry": "model.registry",
    "Recipe": "model.learning.recipe",
    "Segmentation": "model.segmenter",
    "Segmenter": "model.segmenter",
    "Sources": "model.data.sources",
    "Verdict": "model.measure.judge",
    "default_model": "model.loading",
    "evaluate": "model.measure.evaluate",
    "find_device": "model.loading",
    "judge": "model.measure.judge",
    "known_engines": "model.engine",
    "load_segmenter": "model.loading",
    "measure_effort": "model.measure.effort",
    "portraits_from": "model.data.layouts",
    "read_card": "model.card",
    "train": "model.training.run",
}

__getattr__, __dir__ = import_lazily(globals(), _HOMES)
