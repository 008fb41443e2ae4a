"""In which numbers networks compute."""

import torch


def precision(device: torch.device) -> torch.autocast:
    """Return the context to compute in: bfloat16 where a device has units for it, else float32.

    Those are every GPU that CUDA runs on here, and processors with AMX; on any other processor
    bfloat16 would be slower than float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=_has_units(device))


def _has_units(device: torch.device) -> bool:
    if device.type == "cpu":
        return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
    return device.type == "cuda"
