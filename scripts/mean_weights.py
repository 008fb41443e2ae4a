"""Write the mean of several weights of one network, which were trained one from the other.

    python scripts/mean_weights.py OUT VERSION FOLDER FOLDER ...

The mean of the weights at the ends of several trainings is often better than each of them
(Wortsman et al., "Model soups", 2022). The card is that of the last folder.
"""

import argparse
from pathlib import Path

import torch

from model.weights import load_model, save_model


def main() -> None:
    """Average and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("version", help="such as 0.7.0")
    parser.add_argument("folders", type=Path, nargs="+")
    arguments = parser.parse_args()
    found = [load_model(folder) for folder in arguments.folders]
    card, last = found[-1]
    if any(tensors.keys() != last.keys() for _, tensors in found):
        raise SystemExit("The weights are of different networks; give weights of one.")
    means = {
        name: torch.stack([tensors[name].float() for _, tensors in found]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in last.items()
    }
    print(arguments.out, save_model(arguments.out, means, card, arguments.version).model_version)


if __name__ == "__main__":
    main()
