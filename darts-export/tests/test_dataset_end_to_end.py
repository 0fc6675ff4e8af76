"""From exported tiles to Levels 1 and 2, where maps and tiles meet; and the polygons of other people."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr

from darts_export import export_tile
from darts_export.dataset import coverage_cells, merge_years, observe, read_archive
from darts_export.dataset.archive import repair
from darts_export.manifest import Origin
from darts_utils.testing import example_tile
from darts_utils.testing.data import data_dir

PRODUCTS = ("prediction_segments", "prediction_extent")

VARIABLES = ("probabilities", "binarized_segmentation", "extent")


def export(
    out_dir: Path,
    name: str,
    *,
    crs: str,
    corner: tuple[float, float],
    slump: tuple[slice, slice],
    date: str = "2021-07-01",
) -> None:
    """Export a tile of 60 × 60 pixels of 10 m that holds one slump."""
    tile: xr.Dataset = example_tile(VARIABLES, shape=(60, 60), crs=crs)
    centre = (np.arange(60) + 0.5) * 10
    tile = tile.assign_coords(x=corner[0] + centre, y=corner[1] - centre)
    tile.spatial_ref.attrs["GeoTransform"] = f"{corner[0]!r} 10 0 {corner[1]!r} 0 -10"
    tile.probabilities[:], tile.extent[:], tile.binarized_segmentation[:] = 0.75, True, 0
    tile.extent[:, [0, -1]] = tile.extent[[0, -1]] = False
    tile.binarized_segmentation[slump] = 1
    tile = tile.assign_attrs(tile_id=name, date=date, sensor="sentinel2")
    export_tile(tile, out_dir, products=PRODUCTS, origin=Origin(models={"full": "ab" * 32}))


def corner_in(crs: str, *, like: tuple[float, float], of: str) -> tuple[float, float]:
    point = geopandas.GeoSeries([shapely.Point(like)], crs=of).to_crs(crs)[0]
    return (round(float(point.x), 1), round(float(point.y), 1))


def test_halves_on_both_sides_of_the_antimeridian_are_one(tmp_path: Path) -> None:
    west = geopandas.GeoSeries([shapely.Point(180, 70)], crs="EPSG:4326").to_crs("EPSG:3413")[0]
    x, y = round(float(west.x)), round(float(west.y))
    export(tmp_path, "a", crs="EPSG:3413", corner=(x - 600, y + 300), slump=np.s_[20:40, 40:59])
    export(tmp_path, "b", crs="EPSG:3413", corner=(x - 40, y + 300), slump=np.s_[20:40, 1:15])
    archive = read_archive([tmp_path])
    observed = observe(archive.objects, archive.coverage)
    assert (observed.rule.tolist(), observed.n_parts.tolist()) == (["joined"], [2])
    assert observed.geometry[0].equals(shapely.box(x - 200, y - 100, x + 110, y + 100))
    assert observed.area_m2[0] == pytest.approx(310 * 200, rel=1e-3)  # lengths are true at 70° N
    merged = merge_years(observed, archive.coverage)
    assert (merged.n_seen.tolist(), merged.n_observations.tolist()) == ([1], [1])


def test_one_slump_in_two_utm_zones_is_one(tmp_path: Path) -> None:
    corner = (730_000.0, 7_550_000.0)  # near the edge of zone 8
    export(tmp_path, "a", crs="EPSG:32608", corner=corner, slump=np.s_[20:40, 20:40])
    there = corner_in("EPSG:32609", like=corner, of="EPSG:32608")
    export(tmp_path, "b", crs="EPSG:32609", corner=there, slump=np.s_[20:40, 20:40])
    export(tmp_path, "c", crs="EPSG:32608", corner=corner, slump=np.s_[20:40, 20:44], date="2021-08-01")
    archive = read_archive([tmp_path])
    assert set(archive.objects.tile_crs) == {"EPSG:32608", "EPSG:32609"}
    observed = observe(archive.objects, archive.coverage)
    assert observed.n_duplicates.tolist() == [1, 0]
    assert observed.area_m2.tolist() == pytest.approx([40_000, 48_000], rel=2e-3)
    merged = merge_years(observed, archive.coverage)
    assert (merged.n_seen.tolist(), merged.agreement.tolist()) == ([2], [1.0])
    assert (merged.first_date[0], merged.last_date[0]) == ("2021-07-01", "2021-08-01")
    cells = coverage_cells(archive.coverage)
    assert cells.n_observations.max() == 2
    assert cells.valid_area_m2.sum() == pytest.approx(archive.coverage.dissolve().area.sum(), rel=0.05)


def test_a_slump_at_the_pole(tmp_path: Path) -> None:
    export(tmp_path, "a", crs="EPSG:3413", corner=(-300, 300), slump=np.s_[20:40, 20:40])
    archive = read_archive([tmp_path])
    observed = observe(archive.objects, archive.coverage)
    assert observed.area_m2.tolist() == pytest.approx(archive.objects.area_m2.tolist())
    assert coverage_cells(archive.coverage).valid_area_m2.sum() == pytest.approx(580**2 / 0.9698**2, rel=1e-3)


@pytest.mark.parametrize(("folder", "polygons"), [("training_set_nitze2021", 2182), ("willow_river_huang2022", 197)])
def test_real_polygons_are_repaired_and_counted(folder: str, polygons: int) -> None:
    files = sorted((data_dir() / "slump_polygons" / folder).glob("*.shp")) or sorted(
        (data_dir() / "slump_polygons" / folder).glob("*.*json*")
    )
    outlines = geopandas.read_file(files[0]).geometry.to_numpy()
    valid, was_invalid = repair(outlines)
    assert len(outlines) == polygons
    assert was_invalid.sum() == (~shapely.is_valid(outlines)).sum()
    assert shapely.is_valid(valid).all()
    assert not shapely.is_empty(valid).any()
    assert set(shapely.get_type_id(valid)) <= {3, 6}
