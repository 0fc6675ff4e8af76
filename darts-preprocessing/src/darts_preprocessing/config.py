"""The defaults of preprocessing, each in its one home."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PreprocessingConfig:
    """Options of `darts_preprocessing.preprocess`."""

    tpi_outer_radius_m: float = 100.0
    """Outer radius of the neighbourhood of relative elevation, in metres."""
    tpi_inner_radius_m: float = 0.0
    """Inner radius in metres: 0 is a disc, centre included; above 0 an annulus."""
    tcvis_gap_percent: float = 1.0
    """Share of pixels without trend data above which a warning is given."""
