"""Which device a network runs on."""

import torch

from darts_utils.errors import DeviceError


def resolve_device(name: str) -> torch.device:
    """Turn the name of a device into a device that is there.

    Args:
        name: ``"auto"`` (the first CUDA device, else the CPU), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Returns:
        The device. Only ``"auto"`` ever falls back to the CPU.

    Raises:
        DeviceError: The name is unknown, or the device is not there.

    Examples:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, separator, index = name.partition(":")
    if kind != "cuda" or (separator and not index.isdecimal()):
        raise DeviceError(f"expected the device 'auto', 'cpu', 'cuda' or 'cuda:N', but got {name!r}")
    number = int(index) if separator else 0
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= count:
        raise DeviceError(
            f"device {name!r} was asked for, but torch sees {count} CUDA devices: use device='auto' or device='cpu'"
        )
    return torch.device("cuda", number)
