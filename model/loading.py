"""The table of engines, and how one is found by name and loaded with its weights."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors
from torch import nn

from labeler.errors import LabelerError
from model.card import CARD_FILE, ModelCard, part_folders, read_card
from model.drivers.colours import ColourSegmenter
from model.drivers.seeds import SeededSegmenter
from model.engines.baselines.baselines import BASELINES
from model.engines.gam.network import CONFIGURATIONS as GAM_CONFIGURATIONS
from model.engines.gam.network import GAM
from model.engines.gam.segmenter import GAMSegmenter
from model.engines.pdnet.network import CONFIGURATIONS as PDNET_CONFIGURATIONS
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.segmenter import PDNetSegmenter
from model.registry import ModelRegistry
from model.segmenter import Segmenter
from model.weights import fill, load_model

DEFAULT_MODEL = "pdnet-small"
"""Why this and not a pair: see docs/results.md, on how few frames a person must correct."""

BUNDLED = Path(__file__).parent / "weights"
"""Weights that come with the package, a folder each, named by their configuration."""


@dataclass(frozen=True)
class Engine:
    """A kind of network.

    Attributes:
        configurations: the names of its sizes.
        network: makes one of them, untrained.
        segmenter: makes an engine of a network, its card, a device and a batch size.
        finds: whether it finds people by itself, or knows nobody until it is told.
    """

    configurations: Collection[str]
    network: Callable[[str], nn.Module]
    segmenter: Callable[[Any, ModelCard, torch.device, int], Segmenter]
    finds: bool


def _pdnet(network: PDNet, card: ModelCard, device: torch.device, batch_size: int) -> Segmenter:
    return PDNetSegmenter(
        network,
        card.model_version,
        device,
        batch_size=batch_size,
        input_size=card.input_size,
        unguided_size=card.unguided_size,
        close_up_size=card.close_up_size,
    )


def _gam(network: GAM, card: ModelCard, device: torch.device, batch_size: int) -> Segmenter:
    return GAMSegmenter(network, card.model_version, device, input_size=card.input_size)


ENGINES = {
    "pdnet": Engine(
        PDNET_CONFIGURATIONS, lambda name: PDNet(PDNET_CONFIGURATIONS[name]), _pdnet, finds=True
    ),
    "gam": Engine(
        GAM_CONFIGURATIONS, lambda name: GAM(GAM_CONFIGURATIONS[name]), _gam, finds=False
    ),
}
"""Every engine with weights of its own, by the name that a model card gives it."""

PAIRS = ("pdnet+gam",)
"""Every engine made of two others: one that finds people and one that carries masks."""

BUNDLED_OF = {"pdnet": "pdnet-small", "gam": "gam-small", "pdnet+gam": "pair-small"}
"""The weights that come with the package for each engine."""


def load_segmenter(
    model: str | None = None,
    *,
    device: str = "auto",
    batch_size: int = 8,
    models: Path | None = None,
    alone: bool = False,
) -> tuple[Segmenter, ModelCard]:
    """Load an engine with its weights.

    Args:
        model: a folder with weights and card, the version of some in `models`, the name of bundled
            weights, or a baseline; None means the champion of `models`, or the default where there
            is none. A configuration without any weights is set up untrained (its card says so), so
            that everything around it can be tried.
        device: `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
        batch_size: how many frames the network takes at once.
        models: the workspace's own models, a folder each.
        alone: only what the network says, in each frame by itself: without what it is sure of in
            others (see `model.drivers.seeds`), and without colours (see `model.drivers.colours`).
            Baselines have neither; a pair cannot do without the first.

    Raises:
        LabelerError: there is no such model or device, or the weights are damaged or foreign.
    """
    if model in BASELINES:
        baseline = BASELINES[model]()
        return baseline, _card_of_baseline(model, baseline.model_version)
    segmenter, card = _network(model or default_model(models), models, device, batch_size)
    if alone:
        return segmenter, card
    if card.engine in ENGINES and ENGINES[card.engine].finds:
        segmenter = SeededSegmenter(segmenter, segmenter, card.model_version)
    return ColourSegmenter(segmenter), card


def _network(
    model: str, models: Path | None, device: str, batch_size: int
) -> tuple[Segmenter, ModelCard]:
    where = find_device(device)
    folder = weights_folder(model, models)
    if folder is not None and (card := read_card(folder)).parts:
        return _pair(folder, card, device, batch_size), card
    card, tensors = _find(model, models)
    if card.engine not in ENGINES:
        raise LabelerError(_unknown_engine(card))
    engine = ENGINES[card.engine]
    if card.configuration not in engine.configurations:
        raise LabelerError(
            f"The weights {card.model_version} are for {card.configuration!r}, which this version "
            f"does not know; it knows {', '.join(engine.configurations)}."
        )
    with torch.device("meta"):  # no time for initial values, and nobody's random numbers taken
        network = engine.network(card.configuration)
    fill(network, tensors, card)
    return engine.segmenter(network, card, where, batch_size), card


def _pair(folder: Path, card: ModelCard, device: str, batch_size: int) -> Segmenter:
    if card.engine not in PAIRS or len(card.parts) != 2:
        raise LabelerError(_unknown_engine(card))
    finder, carrier = (
        _network(str(part), None, device, batch_size)[0] for part in part_folders(folder)
    )
    return SeededSegmenter(finder, carrier, card.model_version)


def bundled_weights(engine: str) -> str:
    """The name of the weights that come with the package for an engine.

    Raises:
        LabelerError: there is no such engine.
    """
    if engine not in BUNDLED_OF:
        raise LabelerError(f"There is no engine {engine!r}; there are: {', '.join(BUNDLED_OF)}.")
    return BUNDLED_OF[engine]


def _unknown_engine(card: ModelCard) -> str:
    return (
        f"{card.model_version} is for the engine {card.engine!r}, which this version does not "
        f"have; it has {', '.join([*ENGINES, *PAIRS])}."
    )


def default_model(models: Path | None) -> str:
    """The name of the weights to use where none is given: the champion, else the bundled ones."""
    champion = None if models is None else ModelRegistry(models).champion
    return champion or DEFAULT_MODEL


def find_device(name: str) -> torch.device:
    """The torch device of that name; `auto` is CUDA where there is one, else the CPU.

    Raises:
        LabelerError: the name means nothing, or that device is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise LabelerError(
            f"Device {name!r} cannot be used here ({reason}); try --device auto."
        ) from None
    return device


def weights_folder(model: str, models: Path | None) -> Path | None:
    """The folder of weights by its path, by their version in `models`, or by their bundled name."""
    folders = [Path(model), BUNDLED / model]
    if models is not None:
        folders.insert(1, models / model)
    return next((folder for folder in folders if (folder / CARD_FILE).is_file()), None)


def _find(model: str, models: Path | None) -> tuple[ModelCard, Mapping[str, torch.Tensor]]:
    if (folder := weights_folder(model, models)) is not None:
        return load_model(folder)
    for name, engine in ENGINES.items():
        if model in engine.configurations:
            return _untrained(name, model)
    if Path(model).exists():
        load_model(Path(model))  # says what is wrong with it
    sizes = {name for engine in ENGINES.values() for name in engine.configurations}
    known = sorted({*sizes, *BASELINES, *_named_in(BUNDLED), *_named_in(models)})
    raise LabelerError(f"There is no model {model!r}; there are: {', '.join(known)}.")


def _card_of_baseline(name: str, model_version: str) -> ModelCard:
    return ModelCard(
        model_version=model_version,
        engine=name,
        configuration=name,
        weights_sha256="",
        training_data=["nothing: it has no weights"],
        licence="Apache-2.0",
    )


def _named_in(folder: Path | None) -> list[str]:
    return [path.parent.name for path in folder.glob(f"*/{CARD_FILE}")] if folder else []


def _untrained(engine: str, configuration: str) -> tuple[ModelCard, Mapping[str, torch.Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tensors = ENGINES[engine].network(configuration).state_dict()
    digest = hashlib.sha256(save_tensors(tensors)).hexdigest()
    return (
        ModelCard(
            model_version=f"{configuration}-0.0.0+{digest[:8]}",
            engine=engine,
            configuration=configuration,
            weights_sha256=digest,
            training_data=[],
            licence="Apache-2.0",
        ),
        tensors,
    )
