"""The synthetic archive: scenes of some years over one area, written as files, and mapped by the pipeline."""

import warnings
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import rasterio.features
import shapely
import xarray as xr

from darts_export.config import ExportConfig
from darts_nextgen import RunConfig, run_local
from darts_nextgen.demo.sample import MODELS
from darts_utils.errors import DartsWarning
from darts_utils.grids import geobox_of
from darts_utils.synthetic.series import SyntheticSeries
from darts_utils.synthetic.writing import write_arcticdem, write_sentinel2_scene, write_tcvis

PRODUCTS = ("prediction_segments", "prediction_extent")
MAP = "EPSG:3413"


def write_archive(series: SyntheticSeries, folder: Path) -> Path:
    """Write scenes, elevation and trends; returns the folder of scenes."""
    for scene in series.scenes:
        write_sentinel2_scene(scene, folder / "scenes")
    write_arcticdem(series.scenes[0], folder / "arcticdem.tif")
    write_tcvis(series.scenes[0], folder / "tcvis.tif")
    return folder / "scenes"


def map_archive(folder: Path, out: Path) -> None:
    """Map the scenes with the demo's models; refuses to go on if a scene fails."""
    config = RunConfig(
        scenes=(str(folder / "scenes"),),
        models=(MODELS,),
        out=out,
        dem=folder / "arcticdem.tif",
        tcvis=folder / "tcvis.tif",
        tcvis_release="2019",
        sentinel2_offset_dn=0,
        device="cpu",
        export=ExportConfig(products=PRODUCTS, styles=False),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DartsWarning)
        rows = run_local(config).rows
    if failed := [f"{row.tile_id}: {row.error}" for row in rows if row.error is not None]:
        raise SystemExit("scenes that failed:\n" + "\n".join(failed))


def truth_table(truth: dict[int, xr.Dataset]) -> geopandas.GeoDataFrame:
    """The true outlines: ``year``, ``slump``, ``npixel``, ``geometry`` in EPSG:3413."""
    tables = []
    for year, dataset in truth.items():
        labels, grid = dataset.slump_labels.values, geobox_of(dataset)
        shapes = rasterio.features.shapes(labels, mask=labels > 0, transform=grid.affine, connectivity=4)
        numbers, outlines = zip(
            *((int(number), shapely.geometry.shape(shape)) for shape, number in shapes), strict=True
        )
        table = geopandas.GeoDataFrame({"slump": numbers}, geometry=list(outlines), crs=str(grid.crs))
        table = table.dissolve(by="slump", as_index=False).to_crs(MAP)
        counts = np.bincount(labels.ravel())
        tables.append(table.assign(year=year, npixel=counts[table["slump"]]))
    return pd.concat(tables, ignore_index=True)
