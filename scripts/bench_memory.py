"""Time and memory that GAM takes for a frame, beside attention over all past frames.

    python scripts/bench_memory.py [--configuration gam-small] [--frames 1 10 50]

Both are the same network; only the memory differs: GAM's mean of matrices (eq 1-3), or the keys
and values of every position of every past frame, attended to by softmax (STM). Each figure comes
from a process of its own. The frames are noise, since time and memory do not depend on their
content. `killed` in the table means that the machine had no memory left.
"""

import argparse
import json
import resource
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from model.engines.gam.network import EARLIER, GAM, MASK_STRIDE, FrameFeatures, Memory
from model.engines.gam.recipes import CONFIGURATIONS
from model.loading import find_device
from model.nn.precision import precision

SIZES = {"480p": (480, 864), "720p": (720, 1280), "1080p": (1088, 1920)}
"""Height and width; 1080 is no multiple of 16."""


class AllFrames(GAM):
    """The same network with a memory that grows: it reads from every position of every frame."""

    def remember(self, frames: FrameFeatures, masks: Tensor) -> Tensor:
        """Keep keys and values of all positions, B x h w x (C_N + C_M)."""
        values = self.masks(frames, masks)
        return torch.cat([frames.keys.to(values.dtype), values], dim=1).flatten(2).mT

    def _read(self, frames: FrameFeatures, memory: Tensor) -> Tensor:
        keys, values = memory.split([self.config.keys, self.config.values], dim=2)
        queries = frames.keys.flatten(2).mT.to(keys.dtype)
        found = F.scaled_dot_product_attention(queries[:, None], keys[:, None], values[:, None])
        return found[:, 0].mT


def main() -> None:
    """Measure every size and length, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configuration", default="gam-small", choices=CONFIGURATIONS)
    parser.add_argument("--frames", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments, *arguments.one)))
        return
    rows = []
    for size in arguments.sizes:
        for frames in arguments.frames:
            for way in ("mean", "all"):
                command = [sys.executable, __file__, *sys.argv[1:], "--one", way, size, str(frames)]
                done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
                if done.returncode not in (0, -signal.SIGKILL):
                    raise SystemExit(f"{' '.join(command)} failed; what it said stands above.")
                row = {"way": way, "size": size, "frames": frames, "ms": None, "mib": None}
                rows.append(json.loads(done.stdout.splitlines()[-1]) if done.stdout else row)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")
    table = Table("size", "frames", "ms", "ms, all", "MiB", "MiB, all", box=None)
    for mean, every in zip(rows[::2], rows[1::2], strict=True):
        figures = [mean["ms"], every["ms"], mean["mib"], every["mib"]]
        cells = ["killed" if figure is None else f"{figure:.0f}" for figure in figures]
        table.add_row(mean["size"], str(mean["frames"]), *cells)
    Console().print(table)


@torch.inference_mode()
def measured(
    arguments: argparse.Namespace, way: str, size: str, frames: str
) -> dict[str, str | float]:
    """Measure the milliseconds to encode, find and remember one more frame, and the peak memory."""
    device, config = find_device(arguments.device), CONFIGURATIONS[arguments.configuration]
    height, width = SIZES[size]
    network = (GAM if way == "mean" else AllFrames)(config).eval().to(device)
    network.to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, height, width, device=device)
    image = image.to(memory_format=torch.channels_last)
    earlier = torch.rand(1, EARLIER, height // MASK_STRIDE, width // MASK_STRIDE, device=device)
    mask = torch.rand(1, 1, height, width, device=device)
    with precision(device):
        memory = network.remember(network.encode(image), mask)
        if way == "all":
            memory = torch.cat([memory] * int(frames), dim=1)

        def step() -> None:
            features = network.encode(image)
            network.recall(features, Memory(memory, 1.0), earlier)
            network.remember(features, mask)
            if device.type == "cuda":
                torch.cuda.synchronize()

        step()
        seconds = []
        for _ in range(arguments.rounds):
            started = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    found = {"ms": 1000 * statistics.median(seconds), "mib": peak / 2**20}
    return {"way": way, "size": size, "frames": frames, **found}


if __name__ == "__main__":
    main()
