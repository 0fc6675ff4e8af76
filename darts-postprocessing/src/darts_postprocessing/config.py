"""The one home of every default of this package."""

from dataclasses import dataclass
from typing import Literal

MaskName = Literal["quality", "valid", "none"]
"""Which mask the extent starts from: ``quality_data_mask``, ``valid_data_mask``, or the whole tile."""

EdgeObjects = Literal["drop", "keep"]
"""What becomes of objects that reach out of the extent."""


@dataclass(frozen=True)
class PostprocessingConfig:
    """Options of `darts_postprocessing.postprocess` and their defaults."""

    threshold: float = 0.5
    """A pixel belongs to an object where its probability (0 … 1) is greater than this."""
    high_threshold: float | None = None
    """Only objects with a pixel whose probability is greater than this are kept (hysteresis); None asks for none."""
    further_thresholds: tuple[float, ...] = ()
    """Each gives the objects above it as well, as ``binarized_above-<percent>``."""
    mask: MaskName = "quality"
    """Which mask the extent starts from."""
    radius_px: int = 10
    """Radius of the disc that erodes the mask, in pixels; 0 keeps the mask."""
    edge_px: int = 10
    """Width of the border of the tile that is not trusted, in pixels; 0 trusts it."""
    min_object_px: int = 32
    """Objects of fewer pixels are removed; 0 and 1 keep every object."""
    edge_objects: EdgeObjects = "drop"
    """``"drop"``: objects that reach out of the extent are removed; ``"keep"``: they stay, whole."""
    drop_water: bool = False
    """Remove objects that are water in more than `max_implausible_share` of their pixels; reads ``ndvi`` and ``nir``."""
    water_max_ndvi: float = 0.0
    """A pixel is water where its NDVI is not above this, and its near infrared neither above `water_max_nir`."""
    water_max_nir: float = 0.1
    """See `water_max_ndvi`; surface reflectance, 0 … 1."""
    min_slope_deg: float | None = None
    """Remove objects of which more than `max_implausible_share` is flatter than this; None asks for none. Reads ``slope``."""
    max_slope_deg: float | None = None
    """Remove objects of which more than `max_implausible_share` is steeper than this; None asks for none."""
    max_implausible_share: float = 0.5
    """Share of an object's pixels, 0 … 1, that may be water, that may be too flat, and that may be too steep."""
    keep_members: bool = False
    """Do the same for each ``probabilities-<model>``."""
