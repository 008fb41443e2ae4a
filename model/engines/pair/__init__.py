"""Two engines combined: PDNet finds people, and GAM carries masks."""

from pathlib import Path
from typing import TYPE_CHECKING

from model.engine import JointEngine

if TYPE_CHECKING:
    from model.segmenter import Segmenter


def _join(finder: "Segmenter", carrier: "Segmenter", model_version: str) -> "Segmenter":
    from model.drivers.seeds import SeededSegmenter

    return SeededSegmenter(finder, carrier, model_version)


ENGINES = (
    JointEngine(
        "pdnet+gam", _join, weights=Path(__file__).parent / "weights", default="pair-small"
    ),
)
