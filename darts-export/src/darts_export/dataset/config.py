"""The one home of every default of the data set."""

import math
from dataclasses import dataclass
from typing import Literal

from darts_utils.errors import ConfigError

CRS = "EPSG:3413"
"""The map on which objects are compared: one plane for the whole Arctic, on which pole and antimeridian are ordinary."""


@dataclass(frozen=True)
class DatasetConfig:
    """How tiles become a data set.

    Raises:
        ConfigError: An option makes no sense.
    """

    mixed_models: Literal["apart", "refuse"] = "apart"
    """What to do with results of different models: keep their objects apart, or refuse them."""
    edge_tolerance_m: float = 10.0
    """Objects this near to each other are one where a tile edge cuts both, in metres on the map of EPSG:3413."""
    reach_m: float = 50.0
    """Outlines as near as this to each other are worked on together and stand together in the tables, in metres on the map; at
    least `edge_tolerance_m`."""
    partition_objects: int = 20_000
    """Number of outlines that are worked on at a time, if they are not all of one place; no result depends on it."""
    cell_m: float = 10_000.0
    """Edge length of the cells of the coverage, in metres on the map."""
    min_overlap: float = 0.3
    """Outlines of different years that share this much of the smaller one are of the same ground; above 0, at most 1."""
    footprint: Literal["median", "union"] = "median"
    """Which footprint of a year the areas of Level 3 are of; where the median is empty, it is the union in any case."""
    outline_error_m: float = 3.4
    """How far outlines are off, as a standard deviation in metres: 0.34 × pixel size (`darts_export.dataset.growth`), here
    that of Sentinel-2; 1.0 for PlanetScope."""
    workers: int = 1
    """Number of processes that work at a time; no result depends on it."""

    def __post_init__(self) -> None:
        if self.mixed_models not in ("apart", "refuse"):
            raise ConfigError(f"expected mixed_models to be 'apart' or 'refuse', but got {self.mixed_models!r}")
        if not 0 <= self.edge_tolerance_m < math.inf:
            raise ConfigError(
                f"expected edge_tolerance_m to be a finite number of at least 0, but got {self.edge_tolerance_m!r}"
            )
        if not self.edge_tolerance_m <= self.reach_m < math.inf:
            raise ConfigError(
                f"expected reach_m to be a finite number of at least edge_tolerance_m ({self.edge_tolerance_m!r}), but got "
                f"{self.reach_m!r}"
            )
        if not 0 < self.min_overlap <= 1:
            raise ConfigError(f"expected min_overlap to be above 0 and at most 1, but got {self.min_overlap!r}")
        if self.footprint not in ("median", "union"):
            raise ConfigError(f"expected footprint to be 'median' or 'union', but got {self.footprint!r}")
        for name in ("cell_m", "outline_error_m"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"expected {name} to be a finite number above 0, but got {getattr(self, name)!r}")
        for name in ("workers", "partition_objects"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected {name} to be at least 1, but got {getattr(self, name)!r}")
