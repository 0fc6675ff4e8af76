"""In which numbers a network computes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


class _ExactFloat32:
    """Float32 convolutions that compute in float32 on CUDA devices, too, where torch would round their input to TF32.

    The switch is one of the whole process: of all threads, the first to enter turns it, the last to leave turns it back.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._before: tuple[Any, str, Any] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                owner, name, exact = _tf32_switch()
                self._before = owner, name, getattr(owner, name)
                setattr(owner, name, exact)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before is not None:
                setattr(*self._before)


_EXACT_FLOAT32 = _ExactFloat32()


def _tf32_switch() -> tuple[Any, str, Any]:
    """Say which setting of torch to change, and to what; ``cudnn.flags`` would set all others to defaults of its own."""
    cudnn: Any = torch.backends.cudnn
    try:
        cudnn.allow_tf32  # noqa: B018 - cannot be read once somebody has used the setting that came after it
    except RuntimeError:
        return cudnn.conv, "fp32_precision", "ieee"
    return cudnn, "allow_tf32", False


@contextmanager
def computing_in(dtype: torch.dtype, *, device: torch.device) -> Iterator[None]:
    """Make a context in which networks compute in a type of numbers.

    Args:
        dtype: float32 switches autocast off, also where a caller has it on.
        device: Where the network is.

    Notes:
        Convolutions in float32, among them those that `darts_utils.inference.rewriting` keeps so, are not rounded to TF32 on CUDA
        devices, as torch does by default. That holds for the whole process meanwhile; after it, all is as it was.
    """
    half = dtype if dtype != torch.float32 else None
    with _EXACT_FLOAT32, torch.autocast(device.type, dtype=half, enabled=half is not None, cache_enabled=False):
        yield
