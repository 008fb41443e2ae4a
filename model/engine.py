"""What an engine is, and which there are: a room each in `model.engines`, and those of others.

Importing this, and the rooms, imports no torch: names and sizes are known at once, and networks
are built when somebody asks for one.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from labeler.errors import LabelerError
from model import engines as rooms
from model.learning.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from model.learning.learner import Learner
    from model.segmenter import Segmenter

ENTRY_POINTS = "mvps.engines"
"""The entry points by which other packages bring engines: each names one, or a tuple of them."""

Option = str | int | float | bool

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoOptions:
    """The options of an engine that has none."""


@dataclass(frozen=True)
class Use:
    """What a network is to be used with: all that a driver must be told beside the network."""

    model_version: str
    device: "torch.device"
    input_size: int
    options: Any
    batch_size: int = 8


@dataclass(frozen=True)
class Engine:
    """A kind of network, and everything that this tool must know of it.

    Attributes:
        name: what cards and commands call it.
        sizes: the configurations of its network, dataclasses, by the name that a card gives them.
        network: makes the network of a configuration, untrained.
        segmenter: makes what masks clips, of a network with its weights; it chooses the driver
            and the references.
        learner: makes of an untrained or a trained network what a training asks for its losses.
        recipes: how it is trained; the first one is taken where none is named.
        options: the dataclass of its own options, each with a default, which a card may set.
        trained_options: those that follow from the recipe that weights are trained by.
        finds: whether it finds people by itself, or knows nobody until it is told.
        weights: the folder of the weights that come with it, a folder each.
        default: the name of those that are used where none are named.
        first_choice: whether these are used where not even an engine is named.
    """

    name: str
    sizes: Mapping[str, Any]
    network: "Callable[[Any], nn.Module]"
    segmenter: "Callable[[Any, Use], Segmenter]"
    learner: "Callable[[Any, Recipe], Learner]"
    recipes: tuple[Recipe, ...] = ()
    options: type = NoOptions
    trained_options: Callable[[Recipe], Mapping[str, Option]] = lambda recipe: {}
    finds: bool = False
    weights: Path | None = None
    default: str = ""
    first_choice: bool = False

    def configuration(self, size: str, changes: Mapping[str, Any]) -> Any:
        """The configuration of a size, with changes of it.

        Raises:
            LabelerError: there is no such size, or nothing in it that could be changed so.
        """
        if size not in self.sizes:
            raise LabelerError(
                f"The engine {self.name} has no size {size!r}; it has {', '.join(self.sizes)}."
            )
        known = [each.name for each in fields(self.sizes[size])]
        if unknown := [name for name in changes if name not in known]:
            raise LabelerError(f"A {size} has no {unknown[0]!r}; it has {', '.join(known)}.")
        return replace(self.sizes[size], **changes)

    def options_from(self, given: Mapping[str, Any]) -> Any:
        """Its options, of which some are given.

        Raises:
            LabelerError: it has no such option, or the value is of another type.
        """
        defaults = vars(self.options())
        for name, value in given.items():
            if name not in defaults:
                known = ", ".join(defaults) or "none"
                raise LabelerError(
                    f"The engine {self.name} has no option {name!r}; its options are: {known}."
                )
            if type(value) is not type(defaults[name]):
                wanted = type(defaults[name]).__name__
                raise LabelerError(
                    f"The option {name} of the engine {self.name} is of type {wanted}, and "
                    f"{value!r} is not; change it."
                )
        try:
            return self.options(**given)
        except ValueError as error:
            raise LabelerError(f"The options of {self.name} cannot be so: {error}.") from None

    def options_of_texts(self, texts: Sequence[str]) -> dict[str, Option]:
        """Options of texts such as "close_up_size=320" or "close-up-size=320".

        Raises:
            LabelerError: it has no such option, or the value is of another type.
        """
        kinds: dict[str, Any] = {name: type(value) for name, value in vars(self.options()).items()}
        found: dict[str, Option] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise LabelerError(f"{text!r} is no option; give --option NAME=VALUE.")
            name = name.strip().replace("-", "_")
            kind = kinds.get(name, str)
            try:
                found[name] = value.lower() in ("true", "yes", "1") if kind is bool else kind(value)
            except ValueError:
                raise LabelerError(
                    f"The option {name} of the engine {self.name} cannot be {value!r}; give a "
                    f"value of type {kind.__name__}."
                ) from None
        self.options_from(found)
        return found

    def recipe(self, name: str | None = None) -> Recipe:
        """Its recipe of a name, or its first.

        Raises:
            LabelerError: it has no such recipe, or none at all.
        """
        found = {recipe.name: recipe for recipe in self.recipes}
        if name is None and found:
            return self.recipes[0]
        if name not in found:
            known = ", ".join(found) or "none, so it cannot be trained"
            raise LabelerError(f"There is no recipe {name!r} for {self.name}; there are: {known}.")
        return found[name]


@dataclass(frozen=True)
class JointEngine:
    """An engine made of two others: one that finds people and one that carries masks.

    Attributes:
        name: what cards and commands call it.
        join: makes what masks clips, of a finder, a carrier, and the version of their card.
        weights: as of `Engine`; their cards name the weights that they are made of.
        default: as of `Engine`.
    """

    name: str
    join: "Callable[[Segmenter, Segmenter, str], Segmenter]"
    weights: Path | None = None
    default: str = ""


@dataclass(frozen=True)
class Baseline:
    """An engine without weights: what a network has to beat to be worth running."""

    name: str
    segmenter: "Callable[[], Segmenter]"
    weights: Path | None = field(default=None, init=False)


Known = Engine | JointEngine | Baseline


@cache
def known_engines() -> dict[str, Known]:
    """Every engine by its name: those with a room in `model.engines`, then those of others.

    One that cannot be loaded, or has the name of another, is left out with a warning.
    """
    found: dict[str, Known] = {}
    for room in sorted(each.name for each in iter_modules(rooms.__path__)):
        for engine in import_module(f"{rooms.__name__}.{room}").ENGINES:
            found[engine.name] = engine
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda each: each.name):
        try:
            loaded = entry.load()
        except Exception as error:  # of somebody else's package, whatever it does
            reason = (str(error) or type(error).__name__).splitlines()[0]
            logger.warning(
                "The engine %s (%s) cannot be loaded: %s", entry.name, entry.value, reason
            )
            continue
        for engine in loaded if isinstance(loaded, Iterable) else (loaded,):
            if not isinstance(engine, Known):
                logger.warning("%s is not an engine; see `model.engine.Engine`.", entry.value)
            elif engine.name in found:
                logger.warning(
                    "%s brings a second engine %r; it is left out.", entry.value, engine.name
                )
            else:
                found[engine.name] = engine
    return found


def trainable_engines() -> dict[str, Engine]:
    """The engines with a network of their own, by name."""
    return {name: each for name, each in known_engines().items() if isinstance(each, Engine)}


def baselines() -> dict[str, Baseline]:
    """The engines without weights, by name."""
    return {name: each for name, each in known_engines().items() if isinstance(each, Baseline)}


def find_engine(name: str, of: str | None = None) -> Engine | JointEngine:
    """The engine with weights of that name.

    Args:
        name: the engine.
        of: what asks for it, for the message: a version of weights.

    Raises:
        LabelerError: there is none.
    """
    found = known_engines().get(name)
    if isinstance(found, Engine | JointEngine):
        return found
    names = [n for n, each in known_engines().items() if not isinstance(each, Baseline)]
    known = f"there are: {', '.join(names)}."
    if of is None:
        raise LabelerError(f"There is no engine {name!r}; {known}")
    raise LabelerError(
        f"{of} is for the engine {name!r}, which this version does not have; {known}"
    )


def trainable_engine(name: str) -> Engine:
    """The engine of that name whose network can be trained.

    Raises:
        LabelerError: there is none.
    """
    found = trainable_engines()
    if name not in found:
        raise LabelerError(f"There is no engine {name!r} to train; there are: {', '.join(found)}.")
    return found[name]


def first_engine() -> Engine:
    """The engine that is used where none is named."""
    return next(each for each in trainable_engines().values() if each.first_choice)


def bundled_weights() -> dict[str, Path]:
    """The folders of the weights that come with the engines, by name."""
    return {
        path.name: path
        for engine in known_engines().values()
        if engine.weights is not None and engine.weights.is_dir()
        for path in sorted(engine.weights.iterdir())
        if path.is_dir()
    }
