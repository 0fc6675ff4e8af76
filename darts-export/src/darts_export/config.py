"""The one home of every default of this package."""

import math
from dataclasses import dataclass

from darts_utils.errors import ConfigError

COMPRESSIONS = ("ZSTD", "DEFLATE", "LZW", "LERC")
"""The compressions of rasters."""


@dataclass(frozen=True)
class ExportConfig:
    """What an export writes, and how.

    Raises:
        ConfigError: An option makes no sense.
    """

    products: tuple[str, ...] = (
        "probabilities",
        "binarized",
        "prediction_segments",
        "prediction_extent",
        "thumbnail",
        "stac",
    )
    """Names of the products to write."""
    compression: str = "ZSTD"
    """Compression of the rasters: one of `COMPRESSIONS`."""
    lerc_max_error: float = 0.0
    """How far LERC may move a stored value; 0 keeps every value."""
    overviews: bool = False
    """Whether the rasters hold coarser copies of themselves, which show fast when zoomed out, but take longer to write."""
    block_px: int = 512
    """Edge length of the blocks of the rasters, in pixels."""
    simplify_tolerance_m: float = 0.0
    """Size of the details that the outlines of polygons may lose, metres; 0 keeps the edges of the pixels."""
    styles: bool = True
    """Whether a QGIS style (QML) stands beside each raster and each table of polygons."""
    thumbnail_px: int = 1024
    """Longer side of the thumbnail, in pixels; smaller tiles are not enlarged."""
    stretch_percent: tuple[float, float] = (2.0, 98.0)
    """Percentiles of each band that become black and full colour in the thumbnail."""
    jpeg_quality: int = 85
    """JPEG quality of the thumbnail, 1 … 95."""

    def __post_init__(self) -> None:
        if self.compression not in COMPRESSIONS:
            raise ConfigError(f"expected a compression of {', '.join(COMPRESSIONS)}, but got {self.compression!r}")
        for name in ("lerc_max_error", "simplify_tolerance_m"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ConfigError(f"expected {name} to be a finite number of at least 0, but got {value!r}")
        if self.lerc_max_error > 0 and self.compression != "LERC":
            raise ConfigError(
                f"expected lerc_max_error to be 0 with {self.compression}, which keeps every value, but got "
                f"{self.lerc_max_error!r}: leave it out, or choose LERC"
            )
