"""What disturbed ground bears: a scar in the relief, a bare surface that fades, stripes, a dark rim.

Slumps and look-alikes go through the same functions: no texture and no material is found on slumps alone. How often they
bear a mark differs a little (`MarksConfig`), and stripes of slumps always run down the slope, those of others half of the time.
"""

import numpy as np
from numpy.typing import NDArray

from darts_utils.synthetic.noise import Field
from darts_utils.synthetic.outlines import Outline
from darts_utils.synthetic.painting import Painting
from darts_utils.synthetic.surface import Disturbance

Window = tuple[slice, slice]


def sink(painting: Painting, outline: Outline, *, opening: bool, retreat_m: float = 0.0) -> None:
    """Lower the ground by the scar.

    Args:
        painting: The canvas.
        outline: Where.
        opening: A scarp around the head, open towards the toe; else closed all around.
        retreat_m: How far the head has moved back since the elevation model was made.
    """
    config = painting.config.slumps
    thickest_m = float(outline.edge_distance_m.max())
    low, high = config.scar_depth_m
    depth_m = (low + (high - low) * min(1.0, thickest_m / 60.0)) * painting.rng.uniform(0.6, 1.2)
    shape = np.clip(1.05 - outline.along, 0.05, 1.0) if opening else 0.62
    before_m = min(retreat_m, 0.4 * thickest_m) * np.clip((0.7 - outline.along) / 0.3, 0, 1)
    surface = painting.surface
    for target, moved_m in ((surface.sinking_m, 0.0), (surface.sinking_in_dem_m, before_m)):
        fall = 1 - np.exp(-np.maximum(outline.edge_distance_m - moved_m, 0) / config.edge_m)
        target[outline.window] += depth_m * fall * shape


def lay_bare(
    painting: Painting,
    outline: Outline,
    texture: Field,
    *,
    where: NDArray[np.bool_] | None = None,
    along_only: bool = False,
) -> None:
    """Disturb the surface of an outline; it fades at the edge, and bears stripes or not.

    Args:
        painting: The canvas.
        outline: Where.
        texture: ``(h, w)`` patches, about −1 to 1, in the outline's window.
        where: Part of the outline that is disturbed; all of it by default.
        along_only: Stripes run down the slope; else in half of the cases any other way.
    """
    rng = painting.rng
    weight = _fading(painting, outline, texture)
    angle = 0.0 if rng.random() < 0.5 or along_only else rng.uniform(0, np.pi)
    across_m = outline.across_m * np.cos(angle) + outline.along * outline.length_m * np.sin(angle)
    width_m = max(2 * float(outline.edge_distance_m.max()), 1.0)
    local = 0.6 * texture + stripes_of(painting, across_m, outline.along, width_m=width_m)
    inside = outline.inside if where is None else where
    painting.surface.disturb(outline.window, weight * inside, Disturbance.draw(rng), local)


def _fading(painting: Painting, outline: Outline, texture: Field) -> Field:
    """Share of the disturbed surface, 0 to 1: it fades irregularly at the edge, most of all at the toe."""
    rng, marks = painting.rng, painting.config.marks
    thickest_m = float(outline.edge_distance_m.max())
    fade_m = min(rng.uniform(*marks.fade_px) * painting.resolution_m, 0.4 * thickest_m)
    across_edge = (outline.edge_distance_m - 0.5 * painting.resolution_m) / (
        fade_m * np.clip(0.3 + outline.along, 0.3, 1)
    )
    weight = np.clip(across_edge + 0.35 * texture, 0, 1)
    green = rng.uniform(0.2, 0.9) * (rng.random() < marks.green_toe_probability)
    overgrown: Field = weight * (1 - green * np.clip((outline.along - 0.7) / 0.3, 0, 1) * np.clip(0.5 + texture, 0, 1))
    return overgrown


def stripes_of(painting: Painting, across_m: Field, along: Field, *, width_m: float) -> Field:
    """Stripes as the sensor resolves them; none on a share of the places."""
    rng, marks = painting.rng, painting.config.marks
    wavelength_m = max(width_m / rng.uniform(*marks.stripes_across), marks.smallest_stripe_m)
    amplitude = rng.uniform(*marks.stripe_amplitude) * (rng.random() < marks.stripe_probability)
    wander = 0.6 * np.sin(2 * np.pi * along * rng.uniform(0.8, 2.0) + rng.uniform(0, 2 * np.pi))
    phase = rng.uniform(0, 2 * np.pi)
    amplitude *= _resolved(wavelength_m, painting) * painting.stripes
    lines: Field = amplitude * np.sin(2 * np.pi * across_m / wavelength_m + wander + phase)
    return lines


def _resolved(wavelength_m: float, painting: Painting) -> float:
    """What a Gaussian point spread leaves of the amplitude of a wave; nothing below two pixels."""
    spread_m = painting.config.marks.point_spread_px * painting.resolution_m
    left = np.exp(-2 * (np.pi * spread_m / wavelength_m) ** 2)
    return float(left) if wavelength_m >= 2 * painting.resolution_m else 0.0


def darken_rim(painting: Painting, outline: Outline, along: Field, *, probability: float) -> None:
    """Let the edge be dark where `along` is small, on a share of the outlines."""
    rng, marks = painting.rng, painting.config.marks
    rim_m = max(6.0, 0.09 * float(outline.edge_distance_m.max() * 2))
    rim = np.exp(-((outline.edge_distance_m / rim_m) ** 2)) * np.clip((0.62 - along) / 0.15, 0, 1) * outline.inside
    dark = rng.random() < probability
    lay_dark(painting, outline.window, rng.uniform(*marks.scarp_darkness) * rim * dark)


def lay_dark(painting: Painting, window: Window, values: Field) -> None:
    """Lay dark material over what is there, unless the painting goes without."""
    if painting.scarps:
        painting.ice[window] = np.maximum(painting.ice[window], values)
