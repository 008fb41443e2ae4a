"""The protocol between a trainer and a network: its losses, and the parameters they train."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from model.learning.losses import Losses
from model.nn.bodies import Body
from model.samples.sample import Batch

Groups = list[dict[str, Any]]
"""Parameters with the `maximum` of their learning rate and their `weight_decay`, as optimisers
take them."""


class Learner(Protocol):
    """A network and how it learns from a batch."""

    @property
    def network(self) -> nn.Module:
        """The network that is trained."""

    @property
    def loss(self) -> nn.Module:
        """The module of the losses, whose parameters (if any) are trained along."""

    @property
    def terms(self) -> Sequence[str]:
        """The names of all terms that its losses can have, for the log."""

    @property
    def bodies(self) -> Sequence[Body]:
        """The backbones, whose batch statistics a recipe may freeze."""

    def groups(self) -> Mapping[str, Groups]:
        """The parameters that each kind of step trains, `video` and `image`."""

    def losses(self, batch: Batch, ramp: float) -> Losses:
        """Compute the losses of a batch on the network's device; `ramp`, 0 to 1, grows."""


@runtime_checkable
class MeanTeacherLearner(Learner, Protocol):
    """A learner that can also learn from clips without masks."""

    def pseudo_labelled(self, batch: Batch, teacher: nn.Module) -> Batch:
        """Label a batch that has weak views with what a teacher is sure of in them.

        The teacher is the running mean of the network's weights (Tarvainen and Valpola 2017, "Mean
        teachers are better role models").

        Returns:
            The batch with the teacher's masks, joined with those of the people pasted in, and with
            `sure`.
        """


def parameter_groups(
    parameters: Iterable[nn.Parameter],
    rate: float,
    weight_decay: float,
    scalar_rate: float | None = None,
) -> Iterator[dict[str, Any]]:
    """Group parameters: matrices have weight decay; biases, norms and scalars have none."""
    found: dict[str, list[Tensor]] = {"matrices": [], "vectors": [], "scalars": []}
    for parameter in parameters:
        kind = "matrices" if parameter.ndim > 1 else "vectors" if parameter.ndim else "scalars"
        found[kind].append(parameter)
    rates = {"scalars": rate if scalar_rate is None else scalar_rate}
    for kind, members in found.items():
        decay = weight_decay if kind == "matrices" else 0.0
        if members:
            yield {"params": members, "maximum": rates.get(kind, rate), "weight_decay": decay}


def without(
    parameters: Iterable[nn.Parameter], others: Iterable[nn.Parameter]
) -> Iterator[nn.Parameter]:
    """Those parameters that are not among the others, in order."""
    left_out = {id(parameter) for parameter in others}
    return (parameter for parameter in parameters if id(parameter) not in left_out)
