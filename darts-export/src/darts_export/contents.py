"""What the writers of one export share."""

import importlib.metadata
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import geopandas
import xarray as xr
from odc.geo.geobox import GeoBox

from darts_export.bands import Band
from darts_export.config import ExportConfig
from darts_export.members import member_variable
from darts_export.text import storable_text
from darts_export.vectors import Objects, extent_of, objects_of, segments_of
from darts_utils.device import to_numpy
from darts_utils.grids import geobox_of
from darts_utils.variables import VARIABLES

SOFTWARE = f"darts-export {importlib.metadata.version('darts-export')}"
"""Name and version of this package, for the metadata of files."""


@dataclass(frozen=True)
class Asset:
    """A file of an export, as the STAC item lists it."""

    key: str
    """Key among the item's assets, and in the result of `export_tile`."""
    file_name: str
    """Name within the tile's folder."""
    title: str
    """One line for people."""
    media_type: str
    """IANA media type."""
    roles: tuple[str, ...]
    """STAC roles."""
    bands: tuple[Band, ...]
    """Bands of a raster; empty for other files."""


@dataclass(frozen=True)
class Contents:
    """A tile that is being exported, and what is derived from it for several files, once.

    Nothing here depends on which files are written, nor in which order.
    """

    tile: xr.Dataset
    """The tile."""
    tile_id: str
    """Its id, safe as a name of a folder."""
    config: Mapping[str, object]
    """Effective options of the run, for the metadata of files."""
    assets: tuple[Asset, ...]
    """All files of this export but the STAC item."""
    options: ExportConfig = field(default_factory=ExportConfig)
    """How the files are written."""
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    """Files may be written by several threads."""
    _extent: list[geopandas.GeoDataFrame] = field(default_factory=list, init=False, repr=False)
    _objects: dict[str | None, Objects] = field(default_factory=dict, init=False, repr=False)
    _segments: dict[str | None, geopandas.GeoDataFrame] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def grid(self) -> GeoBox:
        """Grid of the tile."""
        return geobox_of(self.tile)

    def models_of(self, variable: str = "probabilities") -> str | None:
        """Which models made a variable, as the ``source`` of its probabilities says.

        None for what models do not make, and where nothing says it.
        """
        if variable not in VARIABLES or VARIABLES[variable].origin != "model":
            return None
        _, _, suffix = variable.partition("-")
        model = suffix if VARIABLES[variable].per_model else None  # else it is a threshold
        name = member_variable("probabilities", model or None)
        source = self.tile[name].attrs.get("source") if name in self.tile else None
        return None if source is None else storable_text(source, what=f"attribute 'source' of variable {name!r}")

    def with_pixels(self, names: Iterable[str]) -> "Contents":
        """Return the same with variables in host memory, read once, and with nothing derived from them yet."""
        loaded = self.tile[list(dict.fromkeys(names))].compute()
        pixels = {name: each.copy(data=to_numpy(each.data)) for name, each in loaded.data_vars.items()}
        return replace(self, tile=self.tile.assign(pixels))

    def objects(self, model: str | None = None) -> Objects:
        """Objects of the tile, or of one member of the ensemble."""
        with self._lock:
            if model not in self._objects:
                self._objects[model] = objects_of(self.tile, model=model)
            return self._objects[model]

    def segments(self, model: str | None = None) -> geopandas.GeoDataFrame:
        """Table of the objects of the tile, or of one member of the ensemble."""
        with self._lock:
            if model not in self._segments:
                self._segments[model] = segments_of(
                    self.tile,
                    model=model,
                    objects=self.objects(model),
                    simplify_tolerance_m=self.options.simplify_tolerance_m,
                )
            return self._segments[model]

    def extent(self) -> geopandas.GeoDataFrame:
        """Table of the area in which the result is trusted."""
        with self._lock:
            if not self._extent:
                self._extent.append(extent_of(self.tile, simplify_tolerance_m=self.options.simplify_tolerance_m))
            return self._extent[0]
