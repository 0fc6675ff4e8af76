"""The one home of every default of this package."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportConfig:
    """What an export writes, and how."""

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
    """Compression of the rasters, as GDAL's COG driver names it."""
    block_px: int = 512
    """Edge length of the blocks of the rasters, in pixels."""
    thumbnail_px: int = 1024
    """Longer side of the thumbnail, in pixels; smaller tiles are not enlarged."""
    stretch_percent: tuple[float, float] = (2.0, 98.0)
    """Percentiles of each band that become black and full colour in the thumbnail."""
    jpeg_quality: int = 85
    """JPEG quality of the thumbnail, 1 … 95."""
