import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.features
import shapely
import xarray as xr
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from darts_export import extent_of, segments_of
from darts_export.vectors import objects_of
from darts_utils.errors import MissingVariableError, TileContractError
from darts_utils.grids import coords_of, geobox_of
from darts_utils.testing import Backend, data_dir, example_tile, strategies
from darts_utils.tiles import variable

COLUMNS = {
    "segment_id": "int64",
    "tile_id": "string",
    "date": "string",
    "sensor": "string",
    "area_m2": "float64",
    "perimeter_m": "float64",
    "npixel": "int64",
    "probability_min": "float64",
    "probability_max": "float64",
    "probability_mean": "float64",
    "probability_median": "float64",
    "probability_std": "float64",
    "touches_edge": "bool",
    "geometry": "geometry",
}


def test_columns(tile: xr.Dataset, empty_tile: xr.Dataset) -> None:
    assert (len(segments_of(tile)), len(segments_of(empty_tile))) == (3, 0)
    for each in (tile, empty_tile):
        table = segments_of(each)
        assert {name: str(dtype) for name, dtype in table.dtypes.items()} == COLUMNS
        assert table.crs.to_epsg() == 32608


def test_one_row_per_object(tile: xr.Dataset) -> None:
    table = segments_of(tile)
    assert table.segment_id.tolist() == [1, 2, 3]
    assert table.npixel.tolist() == [40, 50, 18]  # in the order of their first pixels
    assert table.geom_type.tolist() == ["Polygon", "Polygon", "MultiPolygon"]
    assert table.touches_edge.tolist() == [True, False, False]
    assert set(table.tile_id) == {"example-0"}
    assert set(table.date) == {"2021-08-21"}
    assert set(table.sensor) == {"planetscope"}
    assert table.geometry.is_valid.all()
    # UTM shrinks lengths by 0.9996 on its central meridian, where the example is.
    np.testing.assert_allclose(table.area_m2, table.npixel * 100 / 0.9996**2, rtol=1e-5)
    np.testing.assert_allclose(table.perimeter_m, np.array([280, 300, 240]) / 0.9996, rtol=1e-5)


def test_statistics_are_those_of_the_float_probabilities(tile: xr.Dataset) -> None:
    inside = tile.probabilities.values[20:25, 10:20].astype("float64")
    row = segments_of(tile).set_index("segment_id").loc[2]
    found = [row[f"probability_{name}"] for name in ("min", "max", "mean", "median", "std")]
    np.testing.assert_allclose(
        found, [inside.min(), inside.max(), inside.mean(), np.median(inside), inside.std()], rtol=1e-12
    )
    changed = tile.assign(probabilities_percent=tile.probabilities_percent * 0)
    assert segments_of(changed).equals(segments_of(tile))


@given(seed=st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_random_tiles_against_rasterio(seed: int) -> None:
    tile = example_tile(["probabilities", "binarized_segmentation", "extent"], shape=(20, 24), seed=seed)
    table = segments_of(tile)
    burnt = rasterio.features.rasterize(
        zip(table.geometry, table.segment_id, strict=True), (20, 24), transform=geobox_of(tile).affine, dtype="int32"
    )
    np.testing.assert_array_equal(burnt > 0, tile.binarized_segmentation.values > 0)
    np.testing.assert_array_equal(np.bincount(burnt.ravel(), minlength=len(table) + 1)[1:], table.npixel)
    for segment in table.itertuples():
        assert segment.probability_mean == pytest.approx(
            tile.probabilities.values[burnt == segment.segment_id].mean(dtype="float64")
        )


@given(tile=strategies.tiles(["probabilities", "binarized_segmentation", "extent"], max_px=12))
@settings(deadline=None, max_examples=20)
def test_any_tile_gives_one_valid_row_per_object(tile: xr.Dataset) -> None:
    table = segments_of(tile)
    assert table.geometry.is_valid.all()
    assert table.npixel.sum() == (tile.binarized_segmentation.values > 0).sum()
    order = ["probability_min", "probability_median", "probability_max"]
    assert (np.diff(table[order].to_numpy(), axis=1) >= 0).all()


def test_an_object_around_the_pole_has_its_true_area() -> None:
    tile = example_tile(["probabilities", "binarized_segmentation", "extent"], shape=(40, 40), crs="EPSG:3413")
    tile.binarized_segmentation[:] = 1
    centred = tile.assign_coords(x=tile.x - tile.x.mean(), y=tile.y - tile.y.mean())
    # The map is true at 70° north, so that lengths at the pole shrink.
    scale = pyproj.Proj("EPSG:3413").get_factors(0, 90 - 1e-9).meridional_scale
    np.testing.assert_allclose(segments_of(centred).area_m2, [400**2 / scale**2], rtol=1e-5)


def test_members_of_an_ensemble(tile: xr.Dataset) -> None:
    nothing = tile.binarized_segmentation * np.uint8(0)
    members = tile.assign(
        {
            "probabilities-a": tile.probabilities * np.float32(0.5),
            "binarized_segmentation-a": tile.binarized_segmentation,
            "binarized_segmentation-b": nothing,
        }
    )
    assert segments_of(members).member_agreement.tolist() == [0.5, 0.5, 0.5]
    assert list(segments_of(members).columns[:-1]) == [*list(COLUMNS)[:-1], "member_agreement"]
    np.testing.assert_allclose(
        segments_of(members, model="a").probability_max, segments_of(tile).probability_max / 2, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.7}, r"\(threshold 0\.5\), but 'binarized_segmentation-a' of tile 'example-0' has 0\.7"),
        ({"min_object_px": 1}, r"\(min_object_px 32\), but 'binarized_segmentation-a' .* has 1"),
        ({"edge_objects": "keep"}, r"\(edge_objects 'drop'\), but 'binarized_segmentation-a' .* has 'keep'"),
        ({"radius_px": 0}, r"\(radius_px 10\), but 'binarized_segmentation-a' .* has 0"),
        ({"mask": "valid"}, r"\(mask 'quality'\), but 'binarized_segmentation-a' .* has 'valid'"),
        ({"min_slope_deg": 3.0}, r"\(min_slope_deg None\), but 'binarized_segmentation-a' .* has 3\.0"),
        ({"max_slope_deg": None}, r"\(max_slope_deg 40\.0\), but 'binarized_segmentation-a' .* has None"),
    ],
)
def test_members_whose_objects_were_found_with_other_options(
    tile: xr.Dataset, options: dict[str, object], message: str
) -> None:
    tile.binarized_segmentation.attrs |= {"threshold": 0.5, "min_object_px": 32, "edge_objects": "drop"}
    tile.binarized_segmentation.attrs |= {"mask": "quality", "radius_px": 10, "edge_px": 10, "max_slope_deg": 40.0}
    members = tile.assign(
        {
            "probabilities-b": tile.probabilities,
            "binarized_segmentation-a": tile.binarized_segmentation.copy(),
            "binarized_segmentation-b": tile.binarized_segmentation.copy(),
        }
    )
    members["binarized_segmentation-a"].attrs |= {"source": "probabilities-a", "long_name": "what model a sees"}
    assert segments_of(members).member_agreement.tolist() == [1, 1, 1]
    other = members["binarized_segmentation-a"].attrs
    other |= options
    for name in [name for name, value in options.items() if value is None]:
        del other[name]
    with pytest.raises(
        TileContractError, match=rf"were found as those of 'binarized_segmentation' {message}: run postprocess\(keep"
    ):
        segments_of(members)
    with pytest.raises(TileContractError, match=r"were found as those of 'binarized_segmentation-b'"):
        segments_of(members, model="b")
    assert "member_agreement" not in segments_of(
        members.drop_vars(["binarized_segmentation-a", "binarized_segmentation-b"])
    )


DISTORTIONS = {
    "transposed": lambda array: array.transpose("x", "y"),
    "another dtype": lambda array: array.astype("float64" if array.dtype == "float32" else "int16"),
}


@pytest.mark.parametrize("change", DISTORTIONS)
def test_variables_in_another_form(tile: xr.Dataset, change: str) -> None:
    tile = tile.isel(x=slice(0, 60))  # square: a transposed array has the same shape
    members = tile.assign({"binarized_segmentation-a": tile.binarized_segmentation})
    for verb, names in (
        (segments_of, ("probabilities", "binarized_segmentation", "binarized_segmentation-a", "extent")),
        (extent_of, ("extent",)),
        (objects_of, ("binarized_segmentation",)),
    ):
        for name in names:
            with pytest.raises(TileContractError, match=f"variable '{name}' of tile 'example-0' must (have dims|be)"):
                verb(members.assign({name: DISTORTIONS[change](members[name])}))


def test_attributes_that_the_tile_lacks_are_unknown(tile: xr.Dataset) -> None:
    tile.attrs = {"tile_id": "bare"}
    table = segments_of(tile)
    assert set(table.date) == set(table.sensor) == {"unknown"}


def test_extent(tile: xr.Dataset, empty_tile: xr.Dataset) -> None:
    tile.extent[:] = True
    tile.extent[5:8, 5:8] = False
    assert len(extent_of(empty_tile)) == 0
    (row,) = extent_of(tile).itertuples(index=False)
    assert row.npixel == 60 * 70 - 9
    assert row.geometry.area == row.npixel * 100
    assert row.area_m2 == pytest.approx(row.npixel * 100 / 0.9996**2, rel=1e-5)
    assert extent_of(tile).dtypes.equals(extent_of(empty_tile).dtypes)


def test_backends(tile: xr.Dataset, backend: Backend) -> None:
    assert segments_of(backend.tile(tile)).equals(segments_of(tile))
    assert extent_of(backend.tile(tile)).equals(extent_of(tile))


def test_messages(tile: xr.Dataset) -> None:
    bare = tile[["red"]]
    for verb, needed in (
        (segments_of, "'probabilities', 'binarized_segmentation', 'extent'"),
        (extent_of, "'extent'"),
        (objects_of, "'binarized_segmentation'"),
    ):
        with pytest.raises(MissingVariableError, match=f"{verb.__name__} needs {needed}; .*: run postprocess first"):
            verb(bare)
    with pytest.raises(TileContractError, match="tile_id must be usable as the name of a folder"):
        segments_of(tile.assign_attrs(tile_id="a/b"))


def test_real_slumps_keep_their_area() -> None:
    """Outlines by an expert, burnt into the grid of a real scene and polygonised: the true area stays."""
    folder = data_dir() / "peel"
    outlines = geopandas.read_file(folder / "expert_outlines.gpkg").to_crs("EPSG:32608")
    (scene,) = folder.glob("S2_*.tif")
    with rasterio.open(scene) as raster:
        grid = GeoBox((raster.height * 4, raster.width * 4), raster.transform * Affine.scale(0.25), "EPSG:32608")
    drawn = outlines[outlines.expert == outlines.expert.iloc[0]].clip(grid.boundingbox.polygon.geom).union_all()
    burnt = rasterio.features.rasterize([drawn], tuple(grid.shape), transform=grid.affine, dtype="uint8")
    tile = xr.Dataset(coords=coords_of(grid), attrs={"tile_id": "peel"}).assign(
        probabilities=variable("probabilities", burnt.astype("float32"), source="expert"),
        binarized_segmentation=variable("binarized_segmentation", burnt, source="expert"),
        extent=variable("extent", np.ones(burnt.shape, dtype=bool), source="expert"),
    )
    table = segments_of(tile)
    lonlat = geopandas.GeoSeries([drawn], crs="EPSG:32608").to_crs("EPSG:4326").iloc[0]
    expected_m2 = abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(lonlat))[0])
    assert table.area_m2.sum() == pytest.approx(expected_m2, rel=0.01)
    assert table.geometry.is_valid.all()
