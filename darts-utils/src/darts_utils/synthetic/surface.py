"""What the ground looks like: a mixture of materials, disturbed where something happened.

`Surface` collects, on the working grid, the fields that features paint: how much of the plant cover is gone, how wet and
how burnt the bare ground is, how bright it is, how the surface sank, how the tasseled-cap trend changed. Slumps, drained
basins, banks, shores and gravel draw the values of a disturbance from one distribution (`Disturbance.draw`), so that a
pixel alone does not tell which of them it belongs to.
"""

from dataclasses import dataclass

import numpy as np

from darts_utils.synthetic.noise import Field, fractal

MATERIALS = {
    "green": (0.030, 0.058, 0.042, 0.300),
    "dry": (0.048, 0.074, 0.086, 0.235),
    "soil": (0.086, 0.108, 0.128, 0.136),
    "mud": (0.044, 0.052, 0.056, 0.060),
    "char": (0.036, 0.046, 0.056, 0.098),
    "water": (0.050, 0.046, 0.028, 0.018),
    "ice": (0.032, 0.038, 0.044, 0.050),
}
"""Reflectance of pure materials in blue, green, red, nir (0 to 1)."""


@dataclass(frozen=True)
class Disturbance:
    """Surface of one disturbed place."""

    cover: float
    """Share of the plant cover that is left, 0 to 1."""
    wetness: float
    """Share of the bare ground that is mud, 0 to 1."""
    brightness: float
    """Factor on reflectance."""
    trend: tuple[float, float, float]
    """Change of the tasseled-cap trends (brightness, greenness, wetness) in 8-bit counts."""

    @staticmethod
    def draw(rng: np.random.Generator) -> "Disturbance":
        """Draw from the one distribution that slumps and their look-alikes share."""
        strength = rng.gamma(4.0, 0.25)
        return Disturbance(
            cover=rng.beta(0.8, 4.4),
            wetness=rng.beta(2.6, 1.6),
            brightness=rng.normal(1.0, 0.12),
            trend=(
                strength * rng.normal(16, 12),
                strength * rng.normal(-26, 12),
                strength * rng.normal(10, 14),
            ),
        )


@dataclass
class Surface:
    """Fields of the working grid, painted by features; all ``(y, x)`` float64."""

    green: Field
    """Share of green in the plant cover, 0 to 1."""
    cover: Field
    """Plant cover, 0 to 1."""
    wetness: Field
    """Wetness of bare ground, 0 to 1."""
    burn: Field
    """Share of charred ground, 0 to 1."""
    brightness: Field
    """Factor on reflectance."""
    sinking_m: Field
    """What is taken off the elevation by the day of the image."""
    sinking_in_dem_m: Field
    """What was taken off it when the elevation model was made."""
    trend: Field
    """``(3, y, x)`` change of the tasseled-cap trends."""

    def disturb(self, window: tuple[slice, slice], weight: Field, disturbance: Disturbance, texture: Field) -> None:
        """Blend a disturbance into the surface.

        Args:
            window: Where.
            weight: ``(h, w)`` 0 to 1.
            disturbance: What the ground becomes.
            texture: ``(h, w)`` about −1 to 1: patches of more and less cover, wetness and brightness.
        """
        cover = np.clip(disturbance.cover + 0.12 * texture, 0, 1)
        wetness = np.clip(disturbance.wetness - 0.18 * texture, 0, 1)
        brightness = disturbance.brightness * (1 + 0.06 * texture)
        for name, values in (("cover", cover), ("wetness", wetness), ("brightness", brightness)):
            target = getattr(self, name)
            target[window] += weight * (values - target[window])
        for index, change in enumerate(disturbance.trend):
            self.trend[(index, *window)] += weight * change

    def reflectance(self, *, water: Field, shading: Field, ice: Field) -> Field:
        """Mix the materials.

        Args:
            water: ``(y, x)`` share of open water.
            shading: ``(y, x)`` factor by the terrain's illumination.
            ice: ``(y, x)`` share of dark scarp (ice-rich headwall and its shadow).

        Returns:
            ``(4, y, x)`` reflectance of blue, green, red, nir.
        """
        plants = self.cover * (1 - self.burn)
        bare = (1 - self.cover) * (1 - self.burn)
        shares = {
            "green": plants * self.green,
            "dry": plants * (1 - self.green),
            "soil": bare * (1 - self.wetness),
            "mud": bare * self.wetness,
            "char": self.burn,
        }
        ground = sum(share[None] * np.asarray(MATERIALS[name])[:, None, None] for name, share in shares.items()) * (
            self.brightness * shading
        )
        ground += ice[None] * (np.asarray(MATERIALS["ice"])[:, None, None] - ground)
        mixed: Field = ground + water[None] * (np.asarray(MATERIALS["water"])[:, None, None] - ground)
        return mixed


def undisturbed(rng: np.random.Generator, shape: tuple[int, int], resolution_m: float) -> Surface:
    """Tundra: more or less green, here and there open."""
    wide, narrow = (
        fractal(rng, shape, resolution_m=resolution_m, spectral_slope=slope, largest_m=largest)
        for slope, largest in ((1.9, 900.0), (1.0, 60.0))
    )
    season = rng.uniform(0.40, 0.70)
    trend = np.stack(
        [
            spread * fractal(rng, shape, resolution_m=resolution_m, spectral_slope=1.6, largest_m=700.0)
            + rng.normal(0, 6)
            for spread in (10.0, 12.0, 10.0)
        ]
    )
    return Surface(
        green=np.clip(season + 0.14 * wide + 0.08 * narrow, 0, 1),
        cover=np.clip(0.90 + 0.07 * np.minimum(wide[::-1, ::-1] + 0.8 * narrow, 1.2), 0.2, 1),
        wetness=np.clip(0.45 + 0.2 * narrow[::-1], 0, 1),
        burn=np.zeros(shape),
        brightness=1 + 0.04 * narrow,
        sinking_m=np.zeros(shape),
        sinking_in_dem_m=np.zeros(shape),
        trend=trend,
    )
