"""STAC items: what a catalogue knows of an exported tile."""

import contextlib
import datetime as dt
import json
import math
from numbers import Real
from typing import Any
from urllib.parse import quote

import pystac
import shapely.geometry
import xarray as xr
from pystac.extensions.eo import Band as EOBand
from pystac.extensions.eo import EOExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import DataType, NoDataStrings, RasterBand, RasterExtension
from pystac.extensions.view import ViewExtension

from darts_export.bands import Band
from darts_export.contents import SOFTWARE, Asset, Contents
from darts_export.footprints import footprint_of
from darts_export.text import stated
from darts_utils.dates import UNKNOWN_DATE, parse_date
from darts_utils.errors import TileContractError
from darts_utils.grids import resolution_m, tile_id
from darts_utils.variables import OPTICAL_BANDS

_PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"

_CONSTELLATIONS = {"planetscope": "planetscope", "sentinel2": "sentinel-2"}

_HIGHEST_SUN_DEG = {"sun_azimuth_deg": 360, "sun_elevation_deg": 90}

_UNKNOWN_SPAN = (dt.datetime(1900, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC))


def item_of(contents: Contents) -> pystac.Item:
    """Describe an export as a STAC item with relative links to its files.

    Args:
        contents: The tile and the files of this export.

    Returns:
        Item with the extensions projection, view, processing, and raster and eo where they say something. Its geometry
        is the outline of the tile in EPSG:4326, cut at the antimeridian.

    Raises:
        TileContractError: ``attrs["date"]`` is neither a date nor ``"unknown"``, a sun angle is none, or the grid has no
            place on Earth.

    Notes:
        No pixel is looked at. A tile knows its day, not the hour: ``datetime`` is 00:00 UTC, ``start_datetime`` and ``end_datetime`` span the
        day. STAC has no word for an unknown date; such a tile has ``datetime`` null, which demands a range, and the
        range 1900 to 2100, so that no search by time misses it. Nothing depends on when the export ran.
    """
    tile, grid = contents.tile, contents.grid
    geometry, bbox = footprint_of(grid)
    day, start, end = acquisition_times(tile)
    item = pystac.Item(
        id=contents.tile_id,
        geometry=shapely.geometry.mapping(geometry),
        bbox=bbox,
        datetime=day,
        start_datetime=start,
        end_datetime=end,
        properties=_properties(contents),
        stac_extensions=[_PROCESSING],
    )
    _add_projection(item, contents)
    _add_sun(item, tile)
    for asset in contents.assets:
        _add_asset(item, asset)
    return item


def item_json(item: pystac.Item) -> bytes:
    """Return the content of an item's file."""
    described = item.to_dict(include_self_link=False, transform_hrefs=False)
    return (json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def acquisition_times(tile: xr.Dataset) -> tuple[dt.datetime | None, dt.datetime, dt.datetime]:
    """Read ``attrs["date"]`` as STAC wants it: nominal time (None where unknown), start and end.

    Raises:
        TileContractError: It is neither a date nor ``"unknown"``.
    """
    date = stated(tile, "date")
    if date == UNKNOWN_DATE:
        return None, *_UNKNOWN_SPAN
    try:
        day = dt.datetime.combine(parse_date(date), dt.time(), tzinfo=dt.UTC)
    except ValueError as error:
        raise TileContractError(
            f"attrs['date'] of tile {tile_id(tile)!r}: {error}, or write {UNKNOWN_DATE!r}"
        ) from error
    return day, day, day + dt.timedelta(days=1, seconds=-1)


def _properties(contents: Contents) -> dict[str, Any]:
    sensor, models = stated(contents.tile, "sensor"), contents.models_of()
    properties: dict[str, Any] = {
        "title": f"Retrogressive thaw slumps in {contents.tile_id}",
        "processing:software": dict([SOFTWARE.split(" ", 1)]),
        "darts:sensor": sensor,
    }
    if sensor in _CONSTELLATIONS:
        properties["constellation"] = _CONSTELLATIONS[sensor]
    with contextlib.suppress(TileContractError):  # metres on the map are not always metres on the ground
        properties["gsd"] = resolution_m(contents.tile)
    if models is not None:
        properties["darts:models"] = models
    if contents.config:
        properties["darts:config"] = dict(contents.config)
    return properties


def _add_projection(item: pystac.Item, contents: Contents) -> None:
    grid = contents.grid
    box = grid.boundingbox
    epsg = None if grid.crs is None else grid.crs.epsg
    ProjectionExtension.ext(item, add_if_missing=True).apply(
        code=None if epsg is None else f"EPSG:{epsg}",
        wkt2=grid.crs.proj.to_wkt() if epsg is None and grid.crs is not None else None,
        shape=list(grid.shape),
        transform=list(grid.affine)[:6],
        bbox=[box.left, box.bottom, box.right, box.top],
    )


def _add_sun(item: pystac.Item, tile: xr.Dataset) -> None:
    azimuth_deg, elevation_deg = (_sun_angle(tile, name) for name in ("sun_azimuth_deg", "sun_elevation_deg"))
    if azimuth_deg is not None and elevation_deg is not None:
        ViewExtension.ext(item, add_if_missing=True).apply(sun_azimuth=azimuth_deg % 360, sun_elevation=elevation_deg)


def _sun_angle(tile: xr.Dataset, name: str) -> float | None:
    value = tile.attrs.get(name)
    if value is None:
        return None
    highest_deg = _HIGHEST_SUN_DEG[name]
    if isinstance(value, bool) or not isinstance(value, Real) or not abs(float(value)) <= highest_deg:  # NaN is not
        raise TileContractError(
            f"attrs[{name!r}] of tile {tile_id(tile)!r} must be a number of degrees from -{highest_deg} to {highest_deg}, but "
            f"got {value!r}: correct it, or leave it out"
        )
    return float(value)


def _add_asset(item: pystac.Item, asset: Asset) -> None:
    entry = pystac.Asset(
        href=f"./{quote(asset.file_name)}", title=asset.title, media_type=asset.media_type, roles=list(asset.roles)
    )
    item.add_asset(asset.key, entry)
    if asset.bands:
        RasterExtension.ext(entry, add_if_missing=True).bands = [_raster_band(band) for band in asset.bands]
    if any(band.name in OPTICAL_BANDS for band in asset.bands):
        EOExtension.ext(entry, add_if_missing=True).bands = [
            EOBand.create(name=band.name, common_name=band.name if band.name in OPTICAL_BANDS else None)
            for band in asset.bands
        ]


def _raster_band(band: Band) -> RasterBand:
    if band.nodata is None:
        nodata: float | NoDataStrings | None = None
    elif math.isnan(band.nodata):
        nodata = NoDataStrings.NAN
    else:
        nodata = band.nodata
    return RasterBand.create(
        nodata=nodata,
        data_type=DataType(band.dtype),
        unit=band.units,
        scale=band.scale if band.scale != 1 or band.offset != 0 else None,
        offset=band.offset if band.scale != 1 or band.offset != 0 else None,
    )
