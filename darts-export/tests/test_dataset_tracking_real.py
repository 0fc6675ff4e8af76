"""Level 3 of the polygons of other people: the Batagay megaslump over the years, and thousands of slumps seen once or more."""

import re

import geopandas
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

from darts_export.dataset import merge_years, observe
from darts_export.dataset.archive import repair
from darts_export.dataset.tracking import Tracks, track
from darts_utils.testing.data import data_dir

GEOD = pyproj.Geod(ellps="WGS84")


def followed(outlines: geopandas.GeoSeries, dates: list[str], images: list[str]) -> Tracks:
    """Levels 1 to 3 of outlines as if each image had been mapped; an image is trusted around its outlines."""
    valid, _ = repair(outlines.to_crs("EPSG:3413").to_numpy())
    objects = geopandas.GeoDataFrame(
        {
            "tile_id": images,
            "segment_id": np.arange(1, len(valid) + 1),
            "touches_edge": False,
            "probability_median": 0.75,
            "sensor": "planetscope",
            "date": pd.array(dates, dtype="string"),
            "models": "people",
        },
        geometry=valid,
        crs="EPSG:3413",
    )
    coverage = objects.dissolve(by=["tile_id", "sensor", "date", "models"], as_index=False)
    coverage = coverage.set_geometry(coverage.geometry.convex_hull.buffer(100))
    return track(merge_years(observe(objects, coverage), coverage))


def test_batagay_is_one_slump_with_three_dated_areas_and_a_growth_rate() -> None:
    files = sorted((data_dir() / "slump_polygons" / "batagay_runge2022").glob("*.shp"))
    tables = [geopandas.read_file(file) for file in files]
    dates = [match[0] for file in files if (match := re.search(r"\d{4}-\d\d-\d\d", file.name))]
    expected = [abs(GEOD.geometry_area_perimeter(table.geometry[0])[0]) for table in tables]
    found = followed(pd.concat(tables).geometry.reset_index(drop=True), dates, dates)
    assert len(found.slumps) == 1
    assert found.slumps.slump_id[0].startswith("yupb6z5g-")  # the geohash of a place in the slump
    assert len(found.events) == 0
    assert found.years.first_date.tolist() == dates == ["2013-07-27", "2016-07-01", "2017-07-10"]
    # Between vertices, straight lines of one map are curves on another: that is all that may differ.
    assert found.years.area_m2.tolist() == pytest.approx(expected, rel=1e-6)
    assert found.years.area_m2.round(-2).tolist() == [645_700, 717_400, 741_400]
    slump = found.slumps.iloc[0]
    days = np.array(dates, dtype="datetime64[D]").astype(float) / 365.2425
    weights = 1 / found.years.area_std_m2
    (rate, _), covariance = np.polyfit(days, expected, 1, w=weights, cov="unscaled")
    assert slump.growth_m2_per_year == pytest.approx(rate, rel=1e-6)
    assert slump.growth_std_m2_per_year == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-6)
    assert slump.growth_m2_per_year == pytest.approx(24_275, abs=1)
    assert (slump.growth_low_m2_per_year, slump.growth_high_m2_per_year) == pytest.approx((12_878, 35_672), abs=2)


def test_the_training_set_of_nitze_is_followed() -> None:
    (file,) = (data_dir() / "slump_polygons" / "training_set_nitze2021").glob("*.shp")
    table = geopandas.read_file(file)
    found = followed(table.geometry, table.image_date.astype(str).tolist(), table.image_id.tolist())
    assert found.slumps.slump_id.is_unique
    assert not found.years.duplicated(["slump_id", "year"]).any()
    ground = shapely.union_all(repair(table.geometry.to_crs("EPSG:3413").to_numpy())[0])
    assert shapely.union_all(found.years.geometry.to_numpy()).area <= ground.area * (1 + 1e-9)
    several = found.slumps[found.slumps.n_years > 1]
    assert len(several) > 100
    assert several.growth_std_m2_per_year[several.n_growth_years > 0].gt(0).all()
    assert found.slumps.growth_m2_per_year[found.slumps.n_years == 1].isna().all()


def test_the_slumps_of_willow_river_have_one_year_each() -> None:
    (file,) = (data_dir() / "slump_polygons" / "willow_river_huang2022").glob("*.shp")
    table = geopandas.read_file(file)
    found = followed(table.geometry, ["2020-07-01"] * len(table), ["one"] * len(table))
    assert found.slumps.n_years.tolist() == [1] * len(found.slumps)
    assert found.slumps.growth_m2_per_year.isna().all()
    assert found.years.area_m2.sum() == pytest.approx(
        sum(abs(GEOD.geometry_area_perimeter(each)[0]) for each in table.to_crs("EPSG:4326").geometry), rel=1e-3
    )
