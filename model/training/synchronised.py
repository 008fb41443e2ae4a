"""Batch normalisation whose statistics are of the samples of all processes of a training.

So the processes of a torchrun come to the weights that one process would with all samples. PyTorch
has that for GPUs alone; this is for any device.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """A BatchNorm2d that takes means over all processes, each with a batch of the same size.

    It has the same parameters and buffers. In evaluation mode it is the same thing.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise B x C x H x W; in training, each process must come here equally often."""
        if not self.training:
            return super().forward(input)
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        count = dist.get_world_size()
        # Two messages: a variance from a mean of squares would lose most of its digits.
        mean = all_reduce(values.mean(dim=(0, 2, 3))) / count  # type: ignore[no-untyped-call]
        centred = values - mean.view(1, -1, 1, 1)
        spread = centred.square().mean(dim=(0, 2, 3))
        variance = all_reduce(spread) / count  # type: ignore[no-untyped-call]
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            share = 0.0 if self.momentum is None else self.momentum
            samples = count * values.numel() / len(mean)
            unbiased = variance * samples / max(samples - 1, 1)
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(unbiased, share)
        scale = self.weight * (variance + self.eps).rsqrt()
        shape = (1, -1, 1, 1)
        normalised: Tensor = centred * scale.view(shape) + self.bias.view(shape)
        return normalised.to(input.dtype)


def synchronise(network: nn.Module) -> None:
    """Let all batch normalisations of a network take their statistics over all processes."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SynchronisedBatchNorm2d
