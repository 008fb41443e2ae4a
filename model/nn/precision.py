"""The floating-point precision that networks compute in."""

import torch


def precision(device: torch.device) -> torch.autocast:
    """Return the context to compute in: bfloat16 where a device has units for it, else float32.

    Those are every GPU that CUDA runs on here, and processors with AMX or AVX-512 BF16; on any
    other processor bfloat16 would be slower than float32.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=_has_units(device))


def _has_units(device: torch.device) -> bool:
    if device.type == "cpu":
        return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in _UNITS)
    return device.type == "cuda"


_UNITS = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
"""What PyTorch calls the question; versions differ in which of them they know."""
