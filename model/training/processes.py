"""The processes of one training: a single one, or those that torchrun started."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This process among `count`, the `rank`-th from 0; process 0 writes files and speaks."""

    rank: int = 0
    count: int = 1
    device: torch.device | str = "cpu"

    @classmethod
    def from_environment(cls, device: torch.device) -> Self:
        """Join the processes that torchrun started, by its environment, or be the only one."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), count, device)

    @staticmethod
    def is_first() -> bool:
        """Whether this is process 0, by the environment alone."""
        return int(os.environ.get("RANK", "0")) == 0

    @property
    def first(self) -> bool:
        """Whether this is process 0, which writes files."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over the processes, all in one message."""
        if self.count == 1:
            return
        tensors = list(tensors)
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def agree(self, values: Sequence[float]) -> list[float]:
        """Return the numbers of process 0 in all processes."""
        if self.count == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return told.tolist()

    def wait(self) -> None:
        """Wait for the others to come to the same point."""
        if self.count > 1:
            dist.barrier()
