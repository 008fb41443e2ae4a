"""The bundled network for tiny pictures, as the champion of a workspace: all else takes minutes."""

from pathlib import Path

from labeler.workspace.workspace import Workspace
from model.card import ModelCard
from model.engine import bundled_weights
from model.registry import ModelRegistry
from model.weights import load_model, save_model

SIDE = 64


def tiny_weights(folder: Path) -> Path:
    """Write the bundled weights with a card that says the input is tiny; return the folder."""
    card, tensors = load_model(bundled_weights()["pdnet-small"])
    save_model(
        folder,
        tensors,
        ModelCard(
            card.engine, card.configuration, card.training_data, card.licence, input_size=SIDE
        ),
        "0.2.0",
    )
    return folder


def tiny_champion(workspace: Workspace) -> ModelRegistry:
    """Make them the champion."""
    registry = ModelRegistry(workspace.root / "models")
    kept = registry.keep(tiny_weights(workspace.root / "tiny"))
    registry.promote(kept.model_version, "to begin with")
    return registry
