"""Find an engine's weights by name, and set the engine up with them."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save as save_tensors

from labeler.errors import LabelerError
from model.card import CARD_FILE, ModelCard, part_folders, read_card
from model.drivers.colours import ColourSegmenter
from model.drivers.doubt import CalibratedSegmenter, Calibration
from model.drivers.seeds import SeededSegmenter
from model.engine import (
    Engine,
    JointEngine,
    Use,
    baselines,
    bundled_weights,
    find_engine,
    first_engine,
    trainable_engines,
)
from model.registry import ModelRegistry
from model.segmenter import Segmenter
from model.weights import fill, load_model


def load_segmenter(
    model: str | None = None,
    *,
    device: str = "auto",
    batch_size: int = 8,
    models: Path | None = None,
    alone: bool = False,
    options: Sequence[str] = (),
    calibrated: bool = True,
) -> tuple[Segmenter, ModelCard]:
    """Load an engine with its weights.

    Args:
        model: a folder with weights and a card, a version in `models`, the name of bundled weights
            or of a baseline. None means the champion of `models`, or the default weights where
            there is no champion. The name of a size sets up an untrained network (its card says
            so), so that everything around it can be tried.
        device: `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
        batch_size: how many frames the network takes at once.
        models: the folder of the workspace's models, with one folder for each.
        alone: use the network alone: without seeds, its sure predictions in other frames (see
            `model.drivers.seeds`), and without colours (see `model.drivers.colours`). Baselines
            have neither. A joint engine always uses seeds.
        calibrated: let the uncertainty be the expected 1 - J, where the card says how (see
            `model.drivers.doubt`); the network alone is never calibrated.
        options: options of the engine as texts "name=value", which replace those of the card.

    Raises:
        LabelerError: there is no such model, device or option, or the weights are damaged or
            foreign.
    """
    if model in baselines():
        segmenter = baselines()[model].segmenter()
        return segmenter, _card_of_baseline(model, segmenter.model_version)
    where = find_device(device)
    name = model or default_model(models)
    segmenter, card = _load(name, models, where, batch_size, options)
    if alone:
        return segmenter, card
    engine = find_engine(card.engine)
    if isinstance(engine, Engine) and engine.finds:
        segmenter = SeededSegmenter(segmenter, segmenter, card.model_version)
    segmenter = ColourSegmenter(segmenter)
    if calibrated and card.doubt:
        segmenter = CalibratedSegmenter(segmenter, Calibration.of_card(card.doubt))
    return segmenter, card


def _load(
    model: str,
    models: Path | None,
    device: torch.device,
    batch_size: int,
    texts: Sequence[str] = (),
) -> tuple[Segmenter, ModelCard]:
    folder = weights_folder(model, models)
    if folder is not None and (card := read_card(folder)).parts:
        if texts:
            raise LabelerError(
                f"{card.engine} is made of other engines and has no options of its own; leave out "
                "--option."
            )
        return _joined(folder, card, device, batch_size), card
    card, tensors = _untrained(model, models) if folder is None else load_model(folder)
    engine = find_engine(card.engine, card.model_version)
    if isinstance(engine, JointEngine):
        raise LabelerError(
            f"{folder}/{CARD_FILE} names no parts; bring the folder back from its source."
        )
    with torch.device("meta"):  # saves the time for initial values, and draws no random numbers
        network = engine.network(engine.configuration(card.configuration, card.network))
    fill(network, tensors, card)
    options = engine.options_from(card.options | engine.options_of_texts(texts))
    use = Use(card.model_version, device, card.input_size, options, batch_size)
    return engine.segmenter(network, use), card


def _joined(folder: Path, card: ModelCard, device: torch.device, batch_size: int) -> Segmenter:
    engine = find_engine(card.engine, card.model_version)
    if not isinstance(engine, JointEngine) or len(card.parts) != 2:
        raise LabelerError(
            f"{folder}/{CARD_FILE} names {len(card.parts)} parts, which is wrong for the engine "
            f"{card.engine}; bring the folder back from its source."
        )
    parts = [_load(str(part), None, device, batch_size)[0] for part in part_folders(folder)]
    return engine.join(parts[0], parts[1], card.model_version)


def default_weights(engine: str) -> str:
    """Return the name of the weights that come with an engine.

    Raises:
        LabelerError: there is no such engine, or it comes without weights.
    """
    found = find_engine(engine)
    if not found.default:
        raise LabelerError(f"The engine {engine!r} comes without weights; name some by --model.")
    return found.default


def default_model(models: Path | None = None) -> str:
    """Return the name of the weights to use by default: the champion, else bundled weights."""
    champion = None if models is None else ModelRegistry(models).champion
    return champion or first_engine().default


def find_device(name: str) -> torch.device:
    """Find the torch device of that name; `auto` is CUDA where there is one, else the CPU.

    Raises:
        LabelerError: torch does not know the name, or this machine has no such device.
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


def weights_folder(model: str, models: Path | None = None) -> Path | None:
    """Find weights by the path of their folder, their version in `models` or their bundled name."""
    folders = [Path(model), *([models / model] if models else [])]
    folders += [path for name, path in bundled_weights().items() if name == model]
    return next((folder for folder in folders if (folder / CARD_FILE).is_file()), None)


def _card_of_baseline(name: str, model_version: str) -> ModelCard:
    return ModelCard(
        engine=name,
        configuration=name,
        training_data=["nothing: it has no weights"],
        licence="Apache-2.0",
        model_version=model_version,
    )


def _untrained(model: str, models: Path | None) -> tuple[ModelCard, Mapping[str, torch.Tensor]]:
    """Make random weights for the network of a size, always the same, and a card that says so.

    Raises:
        LabelerError: there is no such size, and so no such model.
    """
    engines = trainable_engines().values()
    engine = next((each for each in engines if model in each.sizes), None)
    if engine is None:
        if Path(model).exists():
            read_card(Path(model))  # raises and says what is wrong with it
        sizes = {name for each in engines for name in each.sizes}
        kept = [path.parent.name for path in models.glob(f"*/{CARD_FILE}")] if models else []
        known = sorted({*sizes, *baselines(), *bundled_weights(), *kept})
        raise LabelerError(f"There is no model {model!r}; there are: {', '.join(known)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tensors = engine.network(engine.sizes[model]).state_dict()
    digest = hashlib.sha256(save_tensors(tensors)).hexdigest()
    card = ModelCard(
        engine=engine.name,
        configuration=model,
        training_data=[],
        licence="Apache-2.0",
        model_version=f"{model}-0.0.0+{digest[:8]}",
        weights_sha256=digest,
    )
    return card, tensors
