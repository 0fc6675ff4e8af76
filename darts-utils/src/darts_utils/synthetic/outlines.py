"""Forms on the ground: the tongue of a thaw slump, the round of a drained basin."""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from darts_utils.synthetic.noise import Field

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Outline:
    """A form on a window of the working grid."""

    window: tuple[slice, slice]
    """Where it lies."""
    inside: Mask
    """``(h, w)`` True on the form."""
    edge_distance_m: Field
    """``(h, w)`` distance to the edge, inside; 0 outside."""
    along: Field
    """``(h, w)`` 0 at the head, 1 at the toe; for a round form the position along the diameter down the slope."""
    across_m: Field
    """``(h, w)`` distance from the middle line, signed."""
    length_m: float
    """Distance over which `along` goes from 0 to 1."""


@dataclass(frozen=True)
class Placement:
    """Where a form lies and how large it is."""

    row: int
    """Row of its head (tongue) or middle (round)."""
    column: int
    """Column of the same."""
    direction: tuple[float, float]
    """Unit vector ``(x, y)`` to the toe, y with growing rows."""
    area_m2: float
    """Area aimed at."""
    elongation: float
    """Length over width."""


def tongue(
    rng: np.random.Generator, shape: tuple[int, int], placement: Placement, *, resolution_m: float
) -> Outline | None:
    """Draw the outline of a slump: a semicircular headwall that opens into a tongue down the slope.

    Args:
        rng: Source of randomness.
        shape: Shape of the working grid.
        placement: Where, which way, how large.
        resolution_m: Pixel size of the working grid.

    Returns:
        The outline, or None where it does not fit into the grid or is smaller than four pixels.
    """
    width_m = np.sqrt(placement.area_m2 / placement.elongation / 0.84)
    length_m = width_m * placement.elongation
    frame = _frame(shape, placement, reach_m=1.2 * length_m, resolution_m=resolution_m, head=True)
    if frame is None:
        return None
    window, along_m, across_m = frame
    along = along_m / length_m
    bend = rng.normal(0, 0.10) * width_m
    across_m = across_m - bend * np.sin(np.pi * np.clip(along, 0, 1)) * 2
    head = min(0.5, width_m / (2 * length_m) * 1.15)
    start = np.clip(along / head, 0, 1)
    end = np.clip((along - 0.72) / 0.28, 0, 1)
    fan = rng.uniform(-0.25, 0.4)
    half = width_m / 2 * np.sqrt(np.maximum(1 - (1 - start) ** 2, 0)) * np.sqrt(np.maximum(1 - end**2, 0))
    half = half * (1 + fan * np.clip(along, 0, 1))
    half = half * (1 + 0.16 * _scallops(rng, along * length_m / width_m * np.pi, np.sign(across_m)))
    inside = (along > 0) & (along < 1) & (np.abs(across_m) < half)
    return _outline(window, inside, along, across_m, length_m=length_m, resolution_m=resolution_m)


def round_basin(
    rng: np.random.Generator, shape: tuple[int, int], placement: Placement, *, resolution_m: float
) -> Outline | None:
    """Draw a roundish outline with a wavy edge, whichever way the slope falls; else as `tongue`."""
    radius_m = np.sqrt(placement.area_m2 / np.pi)
    frame = _frame(shape, placement, reach_m=1.6 * radius_m, resolution_m=resolution_m, head=False)
    if frame is None:
        return None
    window, along_m, across_m = frame
    theta = np.arctan2(across_m, along_m)
    edge = np.ones_like(theta)
    for order in (2, 3, 4, 5):
        edge += rng.normal(0, 0.16 / order) * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
    inside = np.hypot(along_m, across_m) < radius_m * edge
    along = along_m / (2 * radius_m) + 0.5
    return _outline(window, inside, along, across_m, length_m=2 * radius_m, resolution_m=resolution_m)


def part_of(outline: Outline, inside: Mask, *, resolution_m: float) -> Outline | None:
    """Make an outline of a part of another one, with a head and a middle line of its own.

    Args:
        outline: The whole.
        inside: ``(h, w)`` True on the part, in the window of the whole.
        resolution_m: Pixel size of the working grid.

    Returns:
        The outline, or None where the part is smaller than four pixels.
    """
    if not inside.any():
        return None
    head = float(outline.along[inside].min())
    middle_m = float(np.median(outline.across_m[inside]))
    along, length_m = (outline.along - head) / (1 - head), outline.length_m * (1 - head)
    return _outline(
        outline.window, inside, along, outline.across_m - middle_m, length_m=length_m, resolution_m=resolution_m
    )


def _frame(
    shape: tuple[int, int], placement: Placement, *, reach_m: float, resolution_m: float, head: bool
) -> tuple[tuple[slice, slice], Field, Field] | None:
    """A window around the form and, on it, the distances along and across its direction."""
    reach = int(np.ceil(reach_m / resolution_m)) + 2
    x, y = placement.direction
    middle_row = placement.row + (round(0.5 * reach * y) if head else 0)
    middle_column = placement.column + (round(0.5 * reach * x) if head else 0)
    half = reach if not head else int(reach * 0.75) + 2
    top, left = middle_row - half, middle_column - half
    bottom, right = middle_row + half + 1, middle_column + half + 1
    if top < 0 or left < 0 or bottom > shape[0] or right > shape[1]:
        return None
    rows, columns = np.mgrid[top:bottom, left:right]
    dy_m, dx_m = (rows - placement.row) * resolution_m, (columns - placement.column) * resolution_m
    return (slice(top, bottom), slice(left, right)), dx_m * x + dy_m * y, -dx_m * y + dy_m * x


def _scallops(rng: np.random.Generator, phase: Field, side: Field) -> Field:
    """Waves along the edge, different on the left and on the right."""
    waves = np.zeros_like(phase)
    for which in (-1, 1):
        wave = sum(
            rng.uniform(0.3, 1.0) / order * np.sin(order * phase + rng.uniform(0, 2 * np.pi)) for order in (1, 2, 3)
        )
        waves = np.where(side == which, wave, waves)
    return waves


def _outline(
    window: tuple[slice, slice],
    inside: Mask,
    along: Field,
    across_m: Field,
    *,
    length_m: float,
    resolution_m: float,
) -> Outline | None:
    if int(inside.sum()) < 4:
        return None
    distance: Field = scipy.ndimage.distance_transform_edt(inside) * resolution_m
    return Outline(window, inside, distance, along, across_m, length_m)
