"""The bundled network for tiny pictures, as the champion of a workspace: all else takes minutes."""

from pathlib import Path

from labeler.workspace.workspace import Workspace
from model.loading import BUNDLED
from model.registry import ModelRegistry
from model.weights import load_model, save_model

SIDE = 64


def tiny_weights(folder: Path) -> Path:
    """Write the bundled weights with a card that says the input is tiny; return the folder."""
    card, tensors = load_model(BUNDLED / "pdnet-small")
    save_model(
        folder,
        tensors,
        engine=card.engine,
        configuration=card.configuration,
        version="0.2.0",
        training_data=card.training_data,
        licence=card.licence,
        input_size=SIDE,
    )
    return folder


def tiny_champion(workspace: Workspace) -> ModelRegistry:
    """Make them the champion."""
    registry = ModelRegistry(workspace.root / "models")
    kept = registry.keep(tiny_weights(workspace.root / "tiny"))
    registry.promote(kept.model_version, "to begin with")
    return registry
