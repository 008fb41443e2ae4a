"""Save and load weights beside their card, as safetensors and never as pickles."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from labeler.errors import LabelerError
from labeler.files import write_atomically
from model.card import WEIGHTS_FILE, ModelCard, digest_of_parts, read_card, write_card


def save_model(
    folder: Path,
    tensors: Mapping[str, torch.Tensor],
    card: ModelCard,
    version: str,
    *,
    write: bool = True,
) -> ModelCard:
    """Write weights and their card into `folder`, and return the card.

    The card is written last, so a folder with a card is whole.

    Args:
        folder: it is made if it does not exist.
        tensors: the weights, by the names that the network has for them.
        card: complete except `model_version` and `weights_sha256`, which follow from the rest.
        version: the version of the weights, such as 1.0.0.
        write: whether to write the files. Only the first process of a training does; the others
            just need the card.
    """
    data = save_tensors({name: tensor.contiguous() for name, tensor in tensors.items()})
    card = _signed(card, hashlib.sha256(data).hexdigest(), version)
    if not write:
        return card
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS_FILE, data)
    write_card(folder, card)
    return card


def _signed(card: ModelCard, digest: str, version: str) -> ModelCard:
    name = f"{card.configuration}-{version}+{digest[:8]}"
    return replace(card, model_version=name, weights_sha256=digest)


def save_parts(
    folder: Path, parts: Sequence[Path], *, engine: str, configuration: str, version: str
) -> ModelCard:
    """Write the card of a joint engine, whose weights are `parts`, into `folder`; return it."""
    cards = [read_card(part) for part in parts]
    card = ModelCard(
        engine=engine,
        configuration=configuration,
        training_data=list(dict.fromkeys(each for card in cards for each in card.training_data)),
        licence=" / ".join(dict.fromkeys(card.licence for card in cards)),
        parts=[card.model_version for card in cards],
    )
    card = _signed(card, digest_of_parts(parts), version)
    folder.mkdir(parents=True, exist_ok=True)
    write_card(folder, card)
    return card


def load_model(folder: Path) -> tuple[ModelCard, dict[str, torch.Tensor]]:
    """Read the card and the tensors in `folder`, and check that they belong together.

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
            f"{path} is not a safetensors file ({error}), and pickles are never loaded; bring the "
            "folder back from its source."
        ) from None


def halved(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in half precision, or unchanged if half precision cannot hold its values.

    The variances of a normalisation layer may be larger than 65,504. As infinities they would set
    their channel to zero and make every value of a later training NaN. Integers stay unchanged.
    """
    half = tensor.half()
    return half if tensor.is_floating_point() and bool(half.isfinite().all()) else tensor


def fill(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], card: ModelCard) -> None:
    """Load tensors into a network, which must have exactly these names and shapes.

    The network keeps its precision, and its device unless it is on the meta device.

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
