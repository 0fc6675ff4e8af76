"""In which numbers a network computes."""

import torch

from darts_utils.inference.config import Precision


def resolve_precision(name: Precision | None, *, device: torch.device) -> torch.dtype:
    """Turn the name of a precision into a type of numbers.

    Args:
        name: ``"float32"``, ``"bfloat16"``, ``"float16"``, or None: by device.
        device: Where the network is.

    Returns:
        The named type; else float32 on a CPU and float16 on a CUDA device.

    Notes:
        float16 keeps three more bits than bfloat16: of the demo's trained networks it moved probabilities by up to 0.002, bfloat16 by
        up to 0.014 (``benchmarks/inference.py``). Values above 65 504 overflow in it; a network that does so gives NaN, which is an error.

    Examples:
        >>> resolve_precision(None, device=torch.device("cpu"))
        torch.float32
        >>> resolve_precision(None, device=torch.device("cuda"))
        torch.float16
    """
    if name is not None:
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    return torch.float32 if device.type == "cpu" else torch.float16


def computing_in(dtype: torch.dtype, *, device: torch.device) -> torch.autocast:
    """Return a context in which networks compute in a type of numbers.

    Args:
        dtype: float32 switches autocast off, also where a caller has it on.
        device: Where the network is.
    """
    half = dtype if dtype != torch.float32 else None
    return torch.autocast(device.type, dtype=half, enabled=half is not None, cache_enabled=False)
