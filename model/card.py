"""What a set of weights is: its card, and how both are written and read; never as pickles."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from labeler.errors import LabelerError
from labeler.files import write_atomically

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"


@dataclass(frozen=True)
class ModelCard:
    """What a person should know of a set of weights before they use it.

    `model_version` is `<configuration>-<version>+<first 8 hex of weights_sha256>`. `engine` and
    `configuration` say which network the tensors belong to, `input_size` which side its square
    input has, `unguided_size` the same where nobody has given a mask (0: likewise), and
    `close_up_size` that of its second look (0: it looks once). `training` says how they came
    about: recipe, seed, steps, seconds. `scores` are what was measured, by name; nothing stands
    there that was not.
    """

    model_version: str
    engine: str
    configuration: str
    weights_sha256: str
    training_data: list[str]
    licence: str
    input_size: int = 480
    unguided_size: int = 0
    close_up_size: int = 0
    training: dict[str, str | int | float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def trained(self) -> bool:
        """Whether the weights have learnt from anything; else their masks are noise."""
        return bool(self.training_data)


def save_model(
    folder: Path,
    tensors: Mapping[str, torch.Tensor],
    *,
    engine: str,
    configuration: str,
    version: str,
    training_data: list[str],
    licence: str,
    input_size: int = 480,
    unguided_size: int = 0,
    close_up_size: int = 0,
    training: dict[str, str | int | float] | None = None,
    scores: dict[str, float] | None = None,
) -> ModelCard:
    """Write weights and their card into `folder`, and return the card.

    The card is written last, so a folder with a card is whole.
    """
    data = save_tensors({name: tensor.contiguous() for name, tensor in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    card = ModelCard(
        model_version=f"{configuration}-{version}+{digest[:8]}",
        engine=engine,
        configuration=configuration,
        weights_sha256=digest,
        training_data=training_data,
        licence=licence,
        input_size=input_size,
        unguided_size=unguided_size,
        close_up_size=close_up_size,
        training=training or {},
        scores=scores or {},
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS_FILE, data)
    _write(folder, card)
    return card


def add_scores(folder: Path, scores: Mapping[str, float]) -> ModelCard:
    """Write scores, 0 to 1 by name, into the card in `folder` beside those it has; return it.

    Raises:
        LabelerError: there is no card, or it is not one.
    """
    card = read_card(folder)
    card = replace(card, scores={**card.scores, **scores})
    _write(folder, card)
    return card


def _write(folder: Path, card: ModelCard) -> None:
    write_atomically(folder / CARD_FILE, (json.dumps(asdict(card), indent=2) + "\n").encode())


def read_card(folder: Path) -> ModelCard:
    """Read the card of the weights in `folder`.

    Raises:
        LabelerError: there is no card, or it is not one.
    """
    path = folder / CARD_FILE
    try:
        return ModelCard(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise LabelerError(
            f"{folder} holds no {CARD_FILE}; give a folder that `mvps train` or a release made."
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise LabelerError(
            f"{path} is no model card ({error}); put back the one its weights came with."
        ) from None


def load_model(folder: Path) -> tuple[ModelCard, dict[str, torch.Tensor]]:
    """Read the card and the tensors in `folder`, the tensors exactly those the card was made for.

    Raises:
        LabelerError: card or weights are missing, damaged, or do not belong together.
    """
    card = read_card(folder)
    path = folder / WEIGHTS_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LabelerError(
            f"{path} cannot be read ({error.strerror}); bring the folder back from its source."
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.weights_sha256:
        raise LabelerError(
            f"{path} is damaged or foreign: its SHA-256 is {digest[:8]}..., but the card says "
            f"{card.weights_sha256[:8]}...; bring the folder back from its source."
        )
    try:
        return card, load_tensors(data)
    except SafetensorError as error:
        raise LabelerError(
            f"{path} is not a safetensors file ({error}); pickles are never loaded."
        ) from None


def fill(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], card: ModelCard) -> None:
    """Put the tensors into the network, all of them and nothing but them.

    They keep the network's precision, and its device unless it is the meta device.

    Raises:
        LabelerError: names or shapes are not those of the network.
    """
    expected = network.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise LabelerError(_mismatch(card, f"{name} is missing"))
        if tensors[name].shape != tensor.shape:
            found, wanted = list(tensors[name].shape), list(tensor.shape)
            raise LabelerError(_mismatch(card, f"{name} is {found} and should be {wanted}"))
    if foreign := sorted(set(tensors) - set(expected)):
        raise LabelerError(_mismatch(card, f"{foreign[0]} is not part of it"))
    cast = {name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()}
    on_meta = any(tensor.is_meta for tensor in expected.values())
    network.load_state_dict(cast, assign=on_meta)


def _mismatch(card: ModelCard, reason: str) -> str:
    return (
        f"The weights {card.model_version} do not fit the network {card.configuration!r}: "
        f"{reason}; use weights made by this version of mvps-labeler."
    )
