"""The defaults of preprocessing, each in its one home."""

from dataclasses import dataclass

from darts_utils.variables import USUAL_SURROUNDINGS_M


@dataclass(frozen=True)
class PreprocessingConfig:
    """Options of `darts_preprocessing.preprocess`."""

    tpi_outer_radius_m: float = USUAL_SURROUNDINGS_M
    """Outer radius of the neighbourhood of relative elevation, in metres."""
    tpi_inner_radius_m: float = 0.0
    """Inner radius in metres: 0 is a disc, centre included; above 0 an annulus."""
    vector_ruggedness_radius_m: float = 30.0
    """Half the side of the window of vector ruggedness in metres: that of 3 × 3 cells of 30 m, which its authors used."""
    dissection_radius_m: float = 100.0
    """Half the side of the window of the dissection index in metres: as far as relative elevation looks."""
    sun_azimuth_deg: float = 225.0
    """Where the sun is in the hillshade of a scene that does not say it, clockwise from true north."""
    sun_elevation_deg: float = 25.0
    """How high it is then."""
    tcvis_gap_percent: float = 1.0
    """Share of pixels without trend data above which a warning is given."""
