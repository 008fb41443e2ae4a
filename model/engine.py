"""What an engine is, and which engines there are: those of `model.engines` and of other packages.

Neither this module nor the engines' packages import torch when they are imported: names and sizes
are known at once, and a network is built when it is needed.
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
"""The entry point group of engines in other packages; each names one engine or a tuple of them."""

Option = str | int | float | bool

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoOptions:
    """The options of an engine that has none."""


@dataclass(frozen=True)
class Use:
    """What a driver must know besides the network."""

    model_version: str
    device: "torch.device"
    input_size: int
    options: Any
    batch_size: int = 8


@dataclass(frozen=True)
class Engine:
    """A kind of network, and everything that this tool must know of it.

    Attributes:
        name: its name in cards and commands.
        sizes: the configurations of its network, dataclasses, by the name that a card gives them.
        network: builds the untrained network of a configuration.
        segmenter: builds the `Segmenter` of a network with its weights; it chooses the driver and
            the references.
        learner: builds the `Learner` of an untrained or a trained network, which computes the
            losses in a training.
        recipes: the ways to train it; the first one is used where none is named.
        options: the dataclass of its own options, each with a default, which a card may set.
        trained_options: returns the options that follow from the recipe of a training.
        finds: whether it finds people by itself; if not, it needs a mask first.
        weights: the folder of its bundled weights, with one folder for each set.
        default: the name of the bundled weights that are used where none are named.
        first_choice: whether these weights are used where not even an engine is named.
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
        """Return the configuration of a size, with some of its fields changed.

        Raises:
            LabelerError: there is no such size, or it has no field of such a name.
        """
        if size not in self.sizes:
            raise LabelerError(
                f"The engine {self.name} has no size {size!r}; it has {', '.join(self.sizes)}."
            )
        known = [each.name for each in fields(self.sizes[size])]
        if unknown := [name for name in changes if name not in known]:
            raise LabelerError(
                f"The size {size} has no field {unknown[0]!r}; it has {', '.join(known)}."
            )
        return replace(self.sizes[size], **changes)

    def options_from(self, given: Mapping[str, Any]) -> Any:
        """Return the engine's options: those given, and the defaults of the others.

        Raises:
            LabelerError: the engine has no such option, or the value is of another type.
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
                    f"The option {name} of the engine {self.name} must be of type {wanted}, not "
                    f"{value!r}; change it."
                )
        try:
            return self.options(**given)
        except ValueError as error:
            raise LabelerError(
                f"The engine {self.name} cannot use these options: {error}; change them."
            ) from None

    def options_of_texts(self, texts: Sequence[str]) -> dict[str, Option]:
        """Read options from texts such as "close_up_size=320" or "close-up-size=320".

        Raises:
            LabelerError: the engine has no such option, or the value is of another type.
        """
        kinds: dict[str, Any] = {name: type(value) for name, value in vars(self.options()).items()}
        found: dict[str, Option] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise LabelerError(f"{text!r} is not an option; give --option NAME=VALUE.")
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
        """Return the recipe of that name, or the first recipe where no name is given.

        Raises:
            LabelerError: the engine has no such recipe, or no recipe at all.
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
        name: its name in cards and commands.
        join: builds the `Segmenter` of a finder, a carrier, and the version of their card.
        weights: as in `Engine`; their cards name the weights that they are made of.
        default: as in `Engine`.
    """

    name: str
    join: "Callable[[Segmenter, Segmenter, str], Segmenter]"
    weights: Path | None = None
    default: str = ""


@dataclass(frozen=True)
class Baseline:
    """An engine without weights, which a network has to beat to be worth running."""

    name: str
    segmenter: "Callable[[], Segmenter]"
    weights: Path | None = field(default=None, init=False)


Known = Engine | JointEngine | Baseline


@cache
def known_engines() -> dict[str, Known]:
    """Find every engine, by name: those of `model.engines`, then those of other packages.

    An engine that cannot be loaded, or has the name of an earlier one, is left out with a warning.
    """
    found: dict[str, Known] = {}
    for room in sorted(each.name for each in iter_modules(rooms.__path__)):
        for engine in import_module(f"{rooms.__name__}.{room}").ENGINES:
            found[engine.name] = engine
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda each: each.name):
        try:
            loaded = entry.load()
        except Exception as error:  # another package may raise anything
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
    """Return the engines that have a network of their own, by name."""
    return {name: each for name, each in known_engines().items() if isinstance(each, Engine)}


def baselines() -> dict[str, Baseline]:
    """Return the engines without weights, by name."""
    return {name: each for name, each in known_engines().items() if isinstance(each, Baseline)}


def find_engine(name: str, of: str | None = None) -> Engine | JointEngine:
    """Return the engine of that name, which must have weights.

    Args:
        name: the engine.
        of: the version of the weights that need it, for the message.

    Raises:
        LabelerError: there is no such engine.
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
    """Return the engine of that name, whose network can be trained.

    Raises:
        LabelerError: there is no such engine.
    """
    found = trainable_engines()
    if name not in found:
        raise LabelerError(f"There is no engine {name!r} to train; there are: {', '.join(found)}.")
    return found[name]


def first_engine() -> Engine:
    """Return the engine that is used where none is named."""
    return next(each for each in trainable_engines().values() if each.first_choice)


def bundled_weights() -> dict[str, Path]:
    """Return the folders of the weights that come with the engines, by name."""
    return {
        path.name: path
        for engine in known_engines().values()
        if engine.weights is not None and engine.weights.is_dir()
        for path in sorted(engine.weights.iterdir())
        if path.is_dir()
    }
