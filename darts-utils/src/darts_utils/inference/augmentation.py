"""Test-time augmentation: what a network says about all eight views of a patch, on the average."""

from collections.abc import Callable, Iterable

import torch

from darts_utils.errors import ConfigError
from darts_utils.variables import directional_variables

SYMMETRIES = tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4))
"""Quarter turns, and whether the patch is mirrored before them."""


def check_symmetries(variables: Iterable[str]) -> None:
    """Raise if views of a patch would show values that are true of the patch as it lies only.

    Args:
        variables: The network's inputs.

    Raises:
        ConfigError: One says where the ground faces, or how the sun lights it.
    """
    directional = directional_variables(variables)
    if directional:
        raise ConfigError(
            f"expected inputs that may be turned and mirrored with symmetries, but the values of {', '.join(directional)} depend on "
            "where north is: leave symmetries out"
        )


def view(images: torch.Tensor, *, turns: int, mirrored: bool) -> torch.Tensor:
    """Mirror the last axis of images if asked, then turn them.

    Args:
        images: ``(…, P, P)``.
        turns: Quarter turns.
        mirrored: Whether to mirror first.
    """
    return torch.rot90(images.flip(-1) if mirrored else images, turns, (-2, -1))


def view_back(images: torch.Tensor, *, turns: int, mirrored: bool) -> torch.Tensor:
    """Undo `view`.

    Args:
        images: ``(…, P, P)``.
        turns: As for `view`.
        mirrored: As for `view`.

    Examples:
        >>> image = torch.arange(9).reshape(3, 3)
        >>> all(view_back(view(image, turns=t, mirrored=m), turns=t, mirrored=m).equal(image) for t, m in SYMMETRIES)
        True
    """
    turned = torch.rot90(images, -turns, (-2, -1))
    return turned.flip(-1) if mirrored else turned


def mean_over_symmetries(answer: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Ask about each view of the images, turn the answers back, and take the mean.

    Args:
        answer: ``(B, C, P, P)`` → probabilities ``(B, 1, P, P)``.
        images: ``(B, C, P, P)``.

    Returns:
        ``(B, 1, P, P)``, where `images` are.
    """
    total = torch.zeros_like(images[:, :1])
    for turns, mirrored in SYMMETRIES:
        seen = view(images, turns=turns, mirrored=mirrored).contiguous()
        total += view_back(answer(seen), turns=turns, mirrored=mirrored)
    return total / len(SYMMETRIES)
