"""Checkpoints: the whole state of a training, so that a killed run resumes exactly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from labeler.errors import LabelerError
from labeler.files import write_atomically

CHECKPOINT_FILE = "checkpoint.safetensors"


def save_checkpoint(
    path: Path,
    modules: Mapping[str, torch.nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    facts: Mapping[str, Any],
) -> None:
    """Write modules, optimisers and facts (JSON values) to `path`, whole or not at all."""
    tensors: dict[str, torch.Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {
                f"{name}/{index}/{key}": torch.as_tensor(value)
                for key, value in state.items()
                if value is not None
            }
    # A copy each: safetensors refuses tensors that share memory, as a mean's first state does.
    data = save(
        {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()},
        metadata={"facts": json.dumps(dict(facts))},
    )
    write_atomically(path, data)


def checkpoint_facts(path: Path) -> dict[str, Any]:
    """Read the facts of a checkpoint.

    Raises:
        LabelerError: the file is damaged, or is no checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise LabelerError(_not_taken_up(path, error)) from None
    return facts


def refuse_others(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse to resume a training whose recipe, data or settings differ from those asked for.

    Args:
        path: of the checkpoint.
        found: what its training is of, by name.
        wanted: what the training is to be of.

    Raises:
        LabelerError: the two differ in something that both name.
    """
    for name in wanted.keys() & found.keys():
        if found[name] != wanted[name]:
            raise LabelerError(
                f"{path} is of a training with {name} {found[name]} and not {wanted[name]}; give "
                "the same again, or train into another folder with --out."
            )


def load_checkpoint(
    path: Path,
    modules: Mapping[str, torch.nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Put a checkpoint back into the same modules and optimisers.

    Raises:
        LabelerError: the file is damaged, or of another network or recipe.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, name))
        for name, optimiser in optimisers.items():
            state: dict[int, dict[str, torch.Tensor]] = {}
            for key, value in _below(tensors, name).items():
                index, entry = key.split("/")
                state.setdefault(int(index), {})[entry] = value
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": state, "param_groups": groups})
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise LabelerError(_not_taken_up(path, error)) from None


def _not_taken_up(path: Path, error: Exception) -> str:
    lines = (str(error) or type(error).__name__).splitlines()
    # A network of another shape: torch names the first tensor that does not fit on the second line.
    reason = lines[1].strip() if len(lines) > 1 and lines[0].endswith(":") else lines[0]
    return f"{path} cannot be taken up again ({reason}); train into another folder with --out."


def _below(tensors: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}/"
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
