"""Reading folders of tiles that an export has written, and some that something has happened to."""

import dataclasses
import shutil
from pathlib import Path
from unittest.mock import ANY

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
import xarray as xr

from darts_export import export_tile, segments_of
from darts_export.dataset.archive import read_archive, repair
from darts_export.fingerprints import sha256_of
from darts_export.manifest import Origin, read_manifest, write_manifest
from darts_utils.errors import ConfigError, TileContractError

PRODUCTS = ("prediction_segments", "prediction_extent")


def export(tile: xr.Dataset, out_dir: Path, *, name: str, model: str = "ab", date: str = "2021-07-01") -> Path:
    tile = tile.assign_attrs(tile_id=name, date=date, sensor="sentinel2")
    origin = Origin(models={"full": model * 32})
    return export_tile(tile, out_dir, products=PRODUCTS, origin=origin)["prediction_segments"].parent


def test_objects_and_trusted_areas(tile: xr.Dataset, tmp_path: Path) -> None:
    export(tile, tmp_path, name="b")
    export(tile, tmp_path, name="a")
    found = read_archive([tmp_path])
    assert found.objects.tile_id.tolist() == ["a"] * 3 + ["b"] * 3
    assert found.coverage.tile_id.tolist() == ["a", "b"]
    assert set(found.objects.models) == {"full@abababababab"}
    assert (found.unused, found.repaired, found.dropped) == ((), 0, 0)
    expected = segments_of(tile).to_crs("EPSG:3413").geometry
    assert found.objects.crs == "EPSG:3413"
    np.testing.assert_allclose(found.objects.geometry[:3].area, expected.area)
    assert set(found.objects.tile_crs) == {"EPSG:32608"}


def test_the_order_of_the_folders_does_not_matter(tile: xr.Dataset, tmp_path: Path) -> None:
    folders = [export(tile, tmp_path, name=name) for name in ("c", "a", "b")]
    first, second = read_archive(folders), read_archive(folders[::-1])
    assert first.objects.to_wkb().equals(second.objects.to_wkb())
    assert first.coverage.to_wkb().equals(second.coverage.to_wkb())


def test_without_objects(empty_tile: xr.Dataset, tmp_path: Path) -> None:
    found = read_archive([export(empty_tile, tmp_path, name="a")])
    assert (len(found.objects), len(found.coverage), found.unused) == (0, 0, ())


def test_what_is_incomplete_is_named_and_not_used(tile: xr.Dataset, tmp_path: Path) -> None:
    export(tile, tmp_path, name="good")
    (export(tile, tmp_path, name="cut") / "manifest.json").unlink()
    (export(tile, tmp_path, name="gone") / "prediction_extent.parquet").unlink()
    (export(tile, tmp_path, name="odd") / "manifest.json").write_text("{}")
    export(tile, tmp_path, name="undated", date="unknown")
    export(tile, tmp_path, name="old").rename(tmp_path / "renamed")
    export_tile(tile.assign_attrs(tile_id="few"), tmp_path, products=["prediction_extent"])
    found = read_archive([tmp_path])
    assert set(found.objects.tile_id) == {"good"}
    reasons = {each.folder.name: each.reason.split(":")[0] for each in found.unused}
    assert reasons == {
        "cut": "not finished",
        "few": "incomplete",
        "gone": "missing",
        "odd": "manifest",
        "renamed": "another tile",
        "undated": "undated",
    }


def test_all_incomplete(tile: xr.Dataset, tmp_path: Path) -> None:
    (export(tile, tmp_path, name="cut") / "manifest.json").unlink()
    found = read_archive([tmp_path])
    assert (len(found.objects), len(found.coverage), len(found.unused)) == (0, 0, 1)


def test_doubled_tiles(tile: xr.Dataset, tmp_path: Path) -> None:
    folder = export(tile, tmp_path / "one", name="a")
    shutil.copytree(folder, tmp_path / "two" / "a")
    found = read_archive([tmp_path / "two", tmp_path / "one"])
    assert len(found.objects) == 3
    assert [each.folder for each in found.unused] == [tmp_path / "two" / "a"]
    tile.binarized_segmentation[:] = 0
    export(tile, tmp_path / "three", name="a")
    with pytest.raises(TileContractError, match="expected one result of tile 'a'"):
        read_archive([tmp_path / "one", tmp_path / "three"])


def test_mixed_models(tile: xr.Dataset, tmp_path: Path) -> None:
    export(tile, tmp_path / "one", name="a")
    export(tile, tmp_path / "two", name="a", model="cd")
    assert len(read_archive([tmp_path / "one", tmp_path / "two"]).objects) == 6
    with pytest.raises(TileContractError, match="expected tiles of one set of models, but got 2"):
        read_archive([tmp_path / "one", tmp_path / "two"], mixed_models="refuse")
    with pytest.raises(ConfigError, match="expected mixed_models"):
        read_archive([tmp_path / "one"], mixed_models="perhaps")


def rewrite(path: Path, table: geopandas.GeoDataFrame | bytes) -> None:
    """Change a table and its manifest with it, as an export that goes wrong would."""
    if isinstance(table, bytes):
        path.write_bytes(table)
    else:
        table.to_parquet(path)
    manifest = read_manifest(path.parent)
    assert manifest is not None
    files = tuple(
        dataclasses.replace(file, size=path.stat().st_size, sha256=sha256_of(path)) if file.name == path.name else file
        for file in manifest.files
    )
    write_manifest(dataclasses.replace(manifest, files=files), path.parent)


def test_tables_that_cannot_be_used_are_named(tile: xr.Dataset, tmp_path: Path) -> None:
    def path_of(name: str) -> Path:
        return export(tile, tmp_path, name=name) / "prediction_segments.parquet"

    good = geopandas.read_parquet(path_of("good"))
    broken: dict[str, geopandas.GeoDataFrame | bytes] = {
        "none": b"{}",
        "placeless": good.set_crs(None, allow_override=True),
        "points": good.set_geometry(good.centroid),
        "narrow": good.drop(columns="probability_median"),
        "typed": good.assign(touches_edge="perhaps"),
        "nameless": good.drop(columns="date"),
        "two": good.assign(date=["2021-07-01", "2021-07-02", "2021-07-02"]),
        "elsewhere": good.set_geometry(good.geometry.translate(1e12)),
        "sphere": good.set_crs("EPSG:32608", allow_override=True).to_crs("EPSG:32609"),
    }
    for name, table in broken.items():
        rewrite(path_of(name), table)
    plain = path_of("plain")
    pq.write_table(pq.read_table(plain).replace_schema_metadata({}), plain)
    rewrite(plain, plain.read_bytes())
    damaged = path_of("damaged")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    found = read_archive([tmp_path])
    assert set(found.objects.tile_id) == {"good", "sphere"}
    assert {each.folder.name: each.reason for each in found.unused} == {
        "damaged": "damaged: prediction_segments.parquet has another content than was written",
        "elsewhere": "misplaced: its polygons lie where EPSG:3413 has no place for them",
        "nameless": "incomplete: a table lacks the column date",
        "narrow": "incomplete: prediction_segments.parquet lacks probability_median",
        "none": ANY,
        "placeless": "without CRS: prediction_segments.parquet does not say where its polygons are",
        "plain": "damaged: prediction_segments.parquet is no GeoParquet with a column geometry",
        "points": "damaged: prediction_segments.parquet holds other geometries than polygons",
        "two": "ambiguous: it names the dates 2021-07-01, 2021-07-02 and the sensors sentinel2",
        "typed": ANY,
    }
    reasons = {each.folder.name: each.reason for each in found.unused}
    assert reasons["none"].startswith("damaged: prediction_segments.parquet cannot be read")
    assert reasons["typed"].startswith("damaged: prediction_segments.parquet has other types")


def test_outlines_at_the_end_of_a_tile_whose_every_pixel_is_trusted_are_cut(tile: xr.Dataset, tmp_path: Path) -> None:
    tile.extent[:], tile.binarized_segmentation[:] = True, 0
    tile.binarized_segmentation[0:5, 5:10] = tile.binarized_segmentation[20:25, 65:70] = 1
    tile.binarized_segmentation[30:35, 30:35] = 1
    assert not segments_of(tile).touches_edge.any()  # the export does not look beyond the pixels
    export(tile, tmp_path, name="a")
    assert read_archive([tmp_path]).objects.touches_edge.tolist() == [True, True, False]


def test_repair_counts_and_keeps_areas_only() -> None:
    spike = shapely.Polygon([(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 0)])
    line = shapely.Polygon([(0, 0), (1, 0), (0, 0)])
    valid, was_invalid = repair(np.array([spike, line, shapely.box(0, 0, 1, 1)], dtype=object))
    assert was_invalid.tolist() == [True, True, False]
    assert [float(each.area) for each in valid] == [1, 0, 1]
    assert shapely.is_valid(valid).all()
