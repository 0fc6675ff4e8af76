"""The weights of a model file: what may be among them, and how they get into a network."""

from collections.abc import Mapping, Sequence

import torch

from darts_utils.errors import CheckpointError

_DTYPES = {
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
}
"""Real numbers that every torch can convert into the type of a network's own weights."""


def check_statedict(statedict: object) -> None:
    """Raise if something is no ``state_dict()`` of dense, real, finite tensors.

    Args:
        statedict: What a model file holds as weights.

    Raises:
        CheckpointError: Says what it is instead, or names the first tensors that cannot be used.
    """
    if not isinstance(statedict, Mapping) or not statedict:
        found = "an empty one" if isinstance(statedict, Mapping) else type(statedict).__name__
        raise CheckpointError(f"expected statedict to be the network's state_dict(), but got {found}")
    strangers = [str(name) for name, value in statedict.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise CheckpointError(f"expected statedict to hold tensors only, but not so {_listed(strangers)}")
    unusable = [f"{name} is {_kind(tensor)}" for name, tensor in statedict.items() if not _is_plain(tensor)]
    if unusable:
        raise CheckpointError(
            f"expected weights to be dense tensors of real numbers with values, but {_listed(unusable, '; ')}: "
            "convert them before they are saved"
        )
    broken = [
        str(name)
        for name, tensor in statedict.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    if broken:
        raise CheckpointError(
            f"expected finite weights, but NaN or infinity in {_listed(broken)}: training diverged, take an earlier state"
        )


def load_weights(network: torch.nn.Module, statedict: Mapping[str, torch.Tensor]) -> None:
    """Put weights into a network, all of them; each is converted to the type that the network has there.

    Args:
        network: Changed in place.
        statedict: ``state_dict()`` of a network of the same architecture, as `check_statedict` lets through.

    Raises:
        CheckpointError: The weights belong to another architecture, are whole numbers (of a quantised network) where it has
            fractions, or are too large for the network's type; names the first that do not fit.
    """
    expected = network.state_dict()
    mismatches = [f"{name} is missing" for name in expected if name not in statedict]
    mismatches += [f"{name} is unknown" for name in statedict if name not in expected]
    mismatches += [
        f"{name} has shape {tuple(statedict[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in statedict and statedict[name].shape != tensor.shape
    ]
    mismatches += [
        f"{name} is of type {statedict[name].dtype}, whole numbers instead of fractions"
        for name, tensor in expected.items()
        if name in statedict and tensor.is_floating_point() and not statedict[name].is_floating_point()
    ]
    if mismatches:
        raise CheckpointError(
            f"expected the weights of the network that config['model'] describes, but {_listed(mismatches, '; ')}: "
            "weights and config come from different models"
        )
    too_large = [
        f"{name} as {tensor.dtype}"
        for name, tensor in expected.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(statedict[name].to(tensor.dtype)).all())
    ]
    if too_large:
        raise CheckpointError(
            f"expected weights that the network's own type can hold, but they overflow in {_listed(too_large)}: "
            "training diverged, take an earlier state"
        )
    network.load_state_dict(dict(statedict))


def _is_plain(tensor: torch.Tensor) -> bool:
    dense = tensor.layout == torch.strided and not tensor.is_nested and tensor.device.type != "meta"
    # a tensor that shows a few numbers again and again can be of any size, whatever the file's
    return dense and tensor.dtype in _DTYPES and tensor.nbytes <= tensor.untyped_storage().nbytes()


def _kind(tensor: torch.Tensor) -> str:
    kinds = (tensor.dtype, tensor.device.type, "nested" if tensor.is_nested else tensor.layout)
    return (
        f"a tensor of {', '.join(map(str, kinds))} and shape {'unknown' if tensor.is_nested else tuple(tensor.shape)}"
    )


def _listed(names: Sequence[str], separator: str = ", ", *, shown: int = 3) -> str:
    rest = len(names) - shown
    return separator.join(names[:shown]) + (f"{separator}and {rest} more" if rest > 0 else "")
