"""Polygons with statistics, and the products of a tile."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pystac
import rasterio
import rasterio.features
import rioxarray  # noqa: F401 - the accessor .rio
import shapely
import shapely.geometry
import skimage.measure
import xarray as xr
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.harness import Row, against, benchmark
from darts_export import export_tile
from darts_export.polygons import polygonise
from darts_export.statistics import statistics_of
from darts_utils.grids import geobox_of
from darts_utils.runs import find_runs
from darts_utils.testing import example_tile

_PRODUCTS = ("probabilities", "binarized", "prediction_segments", "thumbnail", "stac")


def scene(size_px: int, objects: int) -> xr.Dataset:
    """A post-processed tile: small objects with ragged outlines, a third of it without data."""
    rng = np.random.default_rng(1)
    empty = example_tile(["red", "green", "blue"], shape=(1, 1))
    background = np.kron(rng.random((size_px // 8 + 1,) * 2, dtype="float32"), np.ones((8, 8), "float32"))
    probabilities = 0.3 * background[:size_px, :size_px]
    for _ in range(objects):
        radius = int(rng.integers(6, 40))
        row, column = rng.integers(radius + 1, size_px - radius - 1, 2)
        rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        reach = radius * (0.7 + 0.3 * np.sin(3 * np.arctan2(rows, columns) + 6 * rng.random()))
        hill = np.clip(1.3 - np.hypot(rows, columns) / np.maximum(reach, 1), 0, 0.95).astype("float32")
        place = probabilities[row - radius : row + radius + 1, column - radius : column + radius + 1]
        np.maximum(place, hill, out=place)
    probabilities += 0.05 * rng.random((size_px, size_px), dtype="float32")
    valid = np.add.outer(np.arange(size_px), np.arange(size_px)) > size_px * 0.8
    percent = np.where(valid, np.round(100 * probabilities), 255).astype("uint8")
    tile = example_tile([], shape=(size_px, size_px), resolution_m=3)
    layers: dict[str, NDArray[Any]] = {
        **{name: (2000 + 4000 * probabilities).astype("uint16") for name in ("red", "green", "blue")},
        "probabilities": np.where(valid, probabilities, np.nan).astype("float32"),
        "probabilities_percent": percent,
        "binarized_segmentation": (valid & (probabilities > 0.5)).astype("uint8"),
        "extent": valid,
        "valid_data_mask": valid,
    }
    return tile.assign({name: (("y", "x"), values) for name, values in layers.items()}).assign_attrs(empty.attrs)


def peer_polygons(tile: xr.Dataset) -> geopandas.GeoDataFrame:
    """As one writes it with scikit-image and rasterio."""
    labels = skimage.measure.label(tile.binarized_segmentation.values, connectivity=2).astype("int32")
    pieces: dict[int, list[Any]] = {}
    shapes = rasterio.features.shapes(labels, mask=labels > 0, connectivity=4, transform=geobox_of(tile).affine)
    for shape, value in shapes:
        pieces.setdefault(int(value), []).append(shapely.geometry.shape(shape))
    rows = []
    for region in skimage.measure.regionprops(labels, intensity_image=tile.probabilities.values):
        inside = region.image_intensity[region.image]
        parts = pieces[region.label]
        rows.append(
            {
                "npixel": int(region.num_pixels),
                "min": float(inside.min()),
                "max": float(inside.max()),
                "mean": float(inside.mean(dtype="float64")),
                "median": float(np.median(inside)),
                "std": float(inside.std(dtype="float64")),
                "geometry": parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts),
            }
        )
    return geopandas.GeoDataFrame(rows, crs=str(geobox_of(tile).crs))


def our_polygons(tile: xr.Dataset) -> geopandas.GeoDataFrame:
    """The same with ours: outlines and statistics of the same columns."""
    runs = find_runs(tile.binarized_segmentation.values)
    statistics = statistics_of(runs, tile.probabilities.values)
    outlines = polygonise(runs, geobox_of(tile).affine)
    return geopandas.GeoDataFrame(
        {"npixel": runs.sizes_px(), **statistics}, geometry=outlines, crs=str(geobox_of(tile).crs)
    )


def _same_polygons(ours: geopandas.GeoDataFrame, theirs: geopandas.GeoDataFrame) -> str:
    if not (ours.geometry.is_valid.all() and len(ours) == len(theirs)):
        raise ValueError("expected one valid row per object")
    np.testing.assert_array_equal(ours.npixel, theirs.npixel)
    for name in ("min", "max", "mean", "median", "std"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    if not shapely.equals(ours.geometry.to_numpy(), theirs.geometry.to_numpy()).all():
        raise ValueError("expected the same outlines")
    return f"{len(ours)} objects: same pixels and outlines, statistics within 1e-6, all valid"


@benchmark("polygons")
def polygons() -> Row:
    """Outlines and statistics of the objects of a large tile."""
    tile = scene(8192, 2200)
    return against(
        "polygons with min, max, mean, median, std, 8192²",
        ours=lambda: our_polygons(tile),
        peer="scikit-image label + rasterio shapes + regionprops",
        theirs=lambda: peer_polygons(tile),
        limit=2.5,
        agree=_same_polygons,
    )


def peer_products(tile: xr.Dataset, folder: Path, *, overviews: str) -> Path:
    """As one writes it with rioxarray, geopandas, Pillow and pystac, one after the other; same compression as ours."""
    options = {
        "driver": "COG",
        "compress": "ZSTD",
        "overviews": overviews,
        "num_threads": "ALL_CPUS",
        "predictor": "YES",
    }
    percent = tile.probabilities_percent.rio.write_nodata(255)
    percent.rio.to_raster(folder / "probabilities.tif", **options)
    tile.binarized_segmentation.rio.to_raster(folder / "binarized.tif", **options)
    table = peer_polygons(tile)
    geodesic = table.to_crs("EPSG:6933").geometry
    table = table.assign(area_m2=geodesic.area, perimeter_m=geodesic.length)
    table.to_file(folder / "prediction_segments.gpkg", driver="GPKG", layer="prediction_segments")
    table.to_parquet(folder / "prediction_segments.parquet", schema_version="1.1.0", write_covering_bbox=True)
    step = max(1, max(tile.sizes.values()) // 1024)
    coarse = [tile[name].values[::step, ::step] for name in ("red", "green", "blue")]
    limits = [np.percentile(band, (2, 98)) for band in coarse]
    layers = [
        np.clip((band - low) / (high - low) * 255, 0, 255) for band, (low, high) in zip(coarse, limits, strict=True)
    ]
    picture = Image.fromarray(np.stack(layers, axis=-1).astype("uint8"))
    pen, inverse = ImageDraw.Draw(picture), ~geobox_of(tile).affine
    for polygon in table.geometry.explode():
        pen.line([(x / step, y / step) for x, y in (inverse * each for each in polygon.exterior.coords)], fill="yellow")
    picture.save(folder / "thumbnail.jpg")
    corners = geopandas.GeoSeries([shapely.box(*tile.rio.bounds())], crs=tile.rio.crs).to_crs("EPSG:4326")
    item = pystac.Item("peer", shapely.geometry.mapping(corners[0]), list(corners.total_bounds), None, {
        "start_datetime": "2021-08-21T00:00:00Z", "end_datetime": "2021-08-21T23:59:59Z"
    })  # fmt: skip
    (folder / "peer.json").write_text(json.dumps(item.to_dict(transform_hrefs=False)))
    return folder


def _same_products(ours: Path, theirs: Path) -> str:
    for name in ("probabilities.tif", "binarized.tif"):
        with rasterio.open(ours / name) as one, rasterio.open(theirs / name) as other:
            np.testing.assert_array_equal(one.read(1), other.read(1))
    tables = [geopandas.read_parquet(folder / "prediction_segments.parquet") for folder in (ours, theirs)]
    np.testing.assert_array_equal(*(table.npixel for table in tables))
    np.testing.assert_allclose(tables[0].probability_median, tables[1]["median"], rtol=1e-6)
    sizes = [sum(path.stat().st_size for path in folder.glob("*.tif")) / 1e6 for folder in (ours, theirs)]
    return f"same pixels and rows; ours synced to disk, with hashes and manifest; rasters {sizes[0]:.1f} and {sizes[1]:.1f} MB"


@benchmark("products")
def products() -> list[Row]:
    """The products of a large tile, with and without overviews."""
    tile = scene(10_000, 2200)
    folder = Path(tempfile.mkdtemp(prefix="darts-benchmark-"))
    (folder / "peer").mkdir()

    def ours(*, overviews: bool) -> Callable[[], Path]:
        def write() -> Path:
            written = export_tile(tile, folder / "ours", products=_PRODUCTS, overviews=overviews)
            return written["stac"].parent

        return write

    return [
        against(
            f"products of a tile, 10,000², {kind}",
            ours=ours(overviews=has_overviews),
            peer="rioxarray to_raster (COG, same compression), geopandas, one after the other",
            theirs=lambda setting=setting: peer_products(tile, folder / "peer", overviews=setting),
            limit=1.5,
            agree=_same_products,
        )
        for kind, has_overviews, setting in (("without overviews", False, "NONE"), ("with overviews", True, "AUTO"))
    ]
