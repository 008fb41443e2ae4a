"""Model cards: what a set of weights is, to be read without loading a network."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from labeler.errors import LabelerError
from labeler.files import write_atomically
from model.engine import Engine, Option, bundled_weights, known_engines

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"

LARGEST_CARD = 1 << 20
"""Bytes; the largest card that is read."""

LARGEST_INPUT = 4096
"""Pixels; the largest side of a network's input: beyond it no machine has the memory."""


@dataclass(frozen=True)
class ModelCard:
    """What a person should know of a set of weights before they use it.

    `model_version` is `<configuration>-<version>+<first 8 hex of weights_sha256>`. `engine` and
    `configuration` name the network that the tensors belong to. `network` has the fields of that
    configuration that were changed, `input_size` is the side of the square input in pixels, and
    `options` are the engine's own options that differ from their defaults. `training` says how
    the weights were made: recipe, seed, steps, seconds. `scores` are measured scores by name, and
    nothing that was not measured. `doubt` has the `slope` and `intercept` that turn the engine's
    uncertainty into the expected 1 - J (see `model.drivers.doubt`); without them it stays as it is.

    For weights trained on a workspace's masks, `parent` is the version that the training began
    with, `snapshot` names the masks (see `labeler.publish.snapshot`), and `verdict` is the result
    of judging the weights.

    For a joint engine, `parts` are the versions of the weights that it is made of, in folders
    beside its own. It has no weights of its own then, and `weights_sha256` is the digest of theirs
    (see `digest_of_parts`).
    """

    engine: str
    configuration: str
    training_data: list[str]
    licence: str
    model_version: str = ""
    weights_sha256: str = ""
    input_size: int = 480
    options: dict[str, Option] = field(default_factory=dict)
    network: dict[str, Option] = field(default_factory=dict)
    training: dict[str, str | int | float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    doubt: dict[str, float] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    parent: str = ""
    snapshot: str = ""
    verdict: str = ""

    @property
    def trained(self) -> bool:
        """Whether the weights were trained on anything; if not, their masks are noise."""
        return bool(self.training_data)


def add_scores(folder: Path, scores: Mapping[str, float]) -> ModelCard:
    """Add scores, 0 to 1 by name, to those of the card in `folder`, and return the card.

    Raises:
        LabelerError: the folder holds no card, or the card cannot be read.
    """
    card = read_card(folder)
    card = replace(card, scores={**card.scores, **scores})
    write_card(folder, card)
    return card


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card of the weights in `folder`, as a whole or not at all."""
    content = {"model_version": card.model_version} | asdict(card)  # its name first
    write_atomically(folder / CARD_FILE, (json.dumps(content, indent=2) + "\n").encode())


def read_card(folder: Path) -> ModelCard:
    """Read the card of the weights in `folder`.

    Raises:
        LabelerError: the folder holds no card, or the card cannot be read.
    """
    path = folder / CARD_FILE
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise ValueError(f"it has more than {LARGEST_CARD} bytes")
        return _checked(ModelCard(**_of_today(json.loads(path.read_text()))))
    except FileNotFoundError:
        raise LabelerError(
            f"{folder} holds no {CARD_FILE}; give a folder that `mvps train` or a release made."
        ) from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise LabelerError(
            f"{path} is not a model card ({error}); put back the card that came with its weights."
        ) from None


def check_version(version: object) -> str:
    """Return the version of weights if it is safe as the name of a folder.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(version, str) or re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,150}", version) is None:
        raise ValueError(
            f"its model_version {version!r:.100} is no name of letters, digits, '.', '_', '+', '-'"
        )
    return version


def _checked(card: ModelCard) -> ModelCard:
    """Return a card whose names and numbers can be used, whoever wrote them.

    Raises:
        ValueError: one cannot.
    """
    for version in (card.model_version, card.parent, *_list(card, "parts")):
        if version != "":
            check_version(version)
    for name in ("engine", "configuration", "licence", "weights_sha256", "snapshot", "verdict"):
        if not isinstance(getattr(card, name), str):
            raise ValueError(f"its {name} is no text")
    if not all(isinstance(each, str) for each in _list(card, "training_data")):
        raise ValueError("its training_data is no list of texts")
    if type(card.input_size) is not int or not 1 <= card.input_size <= LARGEST_INPUT:
        raise ValueError(
            f"its input_size {card.input_size!r:.40} is no number from 1 to {LARGEST_INPUT}"
        )
    for name in ("options", "network", "training", "scores", "doubt"):
        values = getattr(card, name)
        if not isinstance(values, dict) or not all(isinstance(each, str) for each in values):
            raise ValueError(f"its {name} is no object")
        for key, value in values.items():
            endless = isinstance(value, float) and not math.isfinite(value)
            if endless or (isinstance(value, int) and abs(value) >= 1 << 63):
                raise ValueError(f"its {name} has a {key!r:.40} that is no usable number")
    if not all(isinstance(value, int | float) for value in card.doubt.values()):
        raise ValueError("its doubt has something that is no number")
    return card


def _list(card: ModelCard, name: str) -> list[Any]:
    found = getattr(card, name)
    if not isinstance(found, list):
        raise ValueError(f"its {name} is no list")
    return found


def _of_today(found: dict[str, Any]) -> dict[str, Any]:
    """Return a card's fields; those of a version before 0.6, with two named options, are moved."""
    old = {name: found.pop(name) for name in ("unguided_size", "close_up_size") if name in found}
    engine = known_engines().get(found.get("engine", ""))
    if old and isinstance(engine, Engine):
        known = {each.name for each in fields(engine.options)}
        found["options"] = {name: side for name, side in old.items() if side and name in known}
    return found


def part_folders(folder: Path) -> list[Path]:
    """Find the folders of the weights that the card in `folder` names as its parts.

    They are beside that folder, or among the bundled weights.

    Raises:
        LabelerError: a part is missing, or the parts are not those that the card was made for.
    """
    card = read_card(folder)
    beside = {}
    near = [path.parent for path in folder.resolve().parent.glob(f"*/{CARD_FILE}")]
    for path in [*bundled_weights().values(), *near]:
        with suppress(LabelerError):  # other weights in the same place may be damaged
            beside[read_card(path).model_version] = path
    if missing := [version for version in card.parts if version not in beside]:
        raise LabelerError(
            f"{card.model_version} needs {missing[0]}, which is not beside {folder}; bring both "
            "folders back from their source."
        )
    found = [beside[version] for version in card.parts]
    if digest_of_parts(found) != card.weights_sha256:
        raise LabelerError(
            f"{folder / CARD_FILE} was made for other weights than {', '.join(card.parts)}; bring "
            "the folders back from their source."
        )
    return found


def digest_of_parts(folders: Sequence[Path]) -> str:
    """Compute one SHA-256 of several weights, from the SHA-256s in their cards."""
    digests = "".join(read_card(folder).weights_sha256 for folder in folders)
    return hashlib.sha256(digests.encode()).hexdigest()
