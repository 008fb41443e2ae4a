"""The table of engines, and how one is found by name and loaded with its weights."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save as save_tensors

from labeler.errors import LabelerError
from model.baselines import BASELINES
from model.card import CARD_FILE, ModelCard
from model.pdnet import CONFIGURATIONS, PDNet
from model.pdnet_segmenter import PDNetSegmenter
from model.registry import ModelRegistry
from model.saved import fill, load_model
from model.segmenter import Segmenter

DEFAULT_MODEL = "pdnet-small"
BUNDLED = Path(__file__).parent / "weights"
"""Weights that come with the package, a folder each, named by their configuration."""

Build = Callable[[ModelCard, Mapping[str, torch.Tensor], torch.device, int], Segmenter]


def _pdnet(
    card: ModelCard, tensors: Mapping[str, torch.Tensor], device: torch.device, batch_size: int
) -> Segmenter:
    if card.configuration not in CONFIGURATIONS:
        raise LabelerError(
            f"The weights {card.model_version} are for {card.configuration!r}, which this version "
            f"does not know; it knows {', '.join(CONFIGURATIONS)}."
        )
    with torch.device("meta"):  # no time for initial values, and nobody's random numbers taken
        network = PDNet(CONFIGURATIONS[card.configuration])
    fill(network, tensors, card)
    return PDNetSegmenter(
        network,
        card.model_version,
        device,
        batch_size=batch_size,
        input_size=card.input_size,
        unguided_size=card.unguided_size,
        close_up_size=card.close_up_size,
    )


ENGINES: dict[str, Build] = {"pdnet": _pdnet}
"""Every engine with weights, by the name that a model card gives it."""


def load_segmenter(
    model: str | None = None,
    *,
    device: str = "auto",
    batch_size: int = 8,
    models: Path | None = None,
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

    Raises:
        LabelerError: there is no such model or device, or the weights are damaged or foreign.
    """
    if model in BASELINES:
        baseline = BASELINES[model]()
        return baseline, _card_of_baseline(model, baseline.model_version)
    where = find_device(device)
    card, tensors = _find(model or default_model(models), models)
    if card.engine not in ENGINES:
        raise LabelerError(
            f"{card.model_version} is for the engine {card.engine!r}, which this version does not "
            f"have; it has {', '.join(ENGINES)}."
        )
    return ENGINES[card.engine](card, tensors, where, batch_size), card


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
    if model in CONFIGURATIONS:
        return _untrained(model)
    if Path(model).exists():
        load_model(Path(model))  # says what is wrong with it
    known = sorted({*CONFIGURATIONS, *BASELINES, *_named_in(BUNDLED), *_named_in(models)})
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


def _untrained(configuration: str) -> tuple[ModelCard, Mapping[str, torch.Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tensors = PDNet(CONFIGURATIONS[configuration]).state_dict()
    digest = hashlib.sha256(save_tensors(tensors)).hexdigest()
    return (
        ModelCard(
            model_version=f"{configuration}-0.0.0+{digest[:8]}",
            engine="pdnet",
            configuration=configuration,
            weights_sha256=digest,
            training_data=[],
            licence="Apache-2.0",
        ),
        tensors,
    )
