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
    keep_members: bool = False
    """Do the same for each ``probabilities-<model>``."""
