"""Levels 1 to 3 of a synthetic archive whose truth is known: what images show of it without error is told without error."""

from dataclasses import dataclass

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio.features
import scipy.ndimage
import shapely
import xarray as xr

from darts_export import export_tile
from darts_export.dataset import merge_years, observe, read_archive
from darts_export.dataset.growth import fit_growth, years_since_1970
from darts_export.dataset.observations import measured
from darts_export.dataset.tracking import Tracks, track
from darts_export.manifest import Origin
from darts_utils.grids import geobox_of
from darts_utils.synthetic.scene import SyntheticScene
from darts_utils.synthetic.series import SyntheticSeries, synthetic_series
from darts_utils.tiles import variable

PRODUCTS = ("prediction_segments", "prediction_extent")
YEARS = (2019, 2020, 2021)
SMALLEST_PX = 10
HIDING = (0, 3, 9)  # missing, shadow, cloud


def tile_of(scene: SyntheticScene) -> xr.Dataset:
    """What a network without fault would make of a scene: noisy probabilities, slumps only where all of one is seen."""
    trusted = ~np.isin(scene.tile.s2_scl.values, HIDING)
    trusted[[0, -1]] = trusted[:, [0, -1]] = False
    labels = scene.truth.slump_labels.values
    beside = scipy.ndimage.binary_dilation(~trusted, np.ones((3, 3)))
    counts = np.bincount(labels.ravel())
    shown = np.setdiff1d(np.flatnonzero(counts >= SMALLEST_PX), [0, *labels[beside]])
    objects = np.isin(labels, shown)
    rng = np.random.default_rng(0)
    probabilities = np.where(objects, 0.8, 0.2) + rng.uniform(-0.15, 0.15, labels.shape)
    layers = {
        "probabilities": probabilities.astype("float32"),
        "binarized_segmentation": (probabilities > 0.5).astype("uint8"),
        "extent": trusted,
    }
    return scene.tile.assign({name: variable(name, values, source="truth") for name, values in layers.items()})


@dataclass(frozen=True)
class Known:
    series: SyntheticSeries
    tracks: Tracks
    yearly: geopandas.GeoDataFrame
    truth: geopandas.GeoDataFrame
    """``year``, ``slump``, ``area_m2``, ``geometry``: every slump of every year that one image at least shows."""


def outlines_of(labels: np.ndarray, transform: rasterio.Affine, crs: str) -> geopandas.GeoDataFrame:
    shapes = list(rasterio.features.shapes(labels, mask=labels > 0, transform=transform, connectivity=4))
    outlines = [shapely.geometry.shape(shape) for shape, _ in shapes]
    table = geopandas.GeoDataFrame({"slump": [int(number) for _, number in shapes]}, geometry=outlines, crs=crs)
    return table.dissolve(by="slump", as_index=False).to_crs("EPSG:3413")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    series = synthetic_series(3, years=YEARS, layout=(1, 3), shape=(220, 220), overlap_px=140)
    folder, shown = tmp_path_factory.mktemp("archive"), []
    for scene in series.scenes:
        tile = tile_of(scene)
        export_tile(tile, folder, products=PRODUCTS, origin=Origin(models={"full": "ab" * 32}))
        labels = scene.truth.slump_labels.values
        seen = np.unique(labels[tile.binarized_segmentation.values == 1])
        shown.append(pd.DataFrame({"year": int(tile.attrs["date"][:4]), "slump": seen}))
    tables = [
        outlines_of(truth.slump_labels.values, geobox_of(truth).affine, str(geobox_of(truth).crs)).assign(year=year)
        for year, truth in series.truth.items()
    ]
    truth = pd.concat(tables, ignore_index=True).merge(pd.concat(shown).drop_duplicates(), on=["year", "slump"])
    archive = read_archive([folder])
    yearly = merge_years(observe(archive.objects, archive.coverage), archive.coverage)
    return Known(series, track(yearly), yearly, truth.assign(area_m2=measured(truth.geometry.to_numpy())[0]))


def named(known: Known) -> pd.DataFrame:
    """The truth, and beside it the slump-year whose outline it is."""
    tables = []
    for year, true in known.truth.groupby("year"):
        rows = known.tracks.years[known.tracks.years.year == year]
        left, right = shapely.STRtree(rows.geometry.to_numpy()).query(true.geometry.to_numpy(), predicate="intersects")
        same = shapely.area(
            shapely.symmetric_difference(true.geometry.to_numpy()[left], rows.geometry.to_numpy()[right])
        )
        exact = same < 1e-3 * shapely.area(true.geometry.to_numpy()[left])
        beside = rows.iloc[right[exact]].add_prefix("found_").reset_index(drop=True)
        tables.append(pd.concat([true.iloc[left[exact]].reset_index(drop=True), beside], axis=1))
    return pd.concat(tables, ignore_index=True)


def test_every_slump_of_every_year_is_found_once_with_its_area(known: Known) -> None:
    assert len(known.truth) > 40
    assert known.truth.groupby("slump").year.nunique().value_counts()[2] > 0  # clouds hide some in some years
    assert len(known.yearly) == len(known.tracks.years) == len(known.truth)
    rows = named(known)
    assert sorted(zip(rows.year, rows.slump, strict=True)) == sorted(
        zip(known.truth.year, known.truth.slump, strict=True)
    )
    assert rows.found_area_m2.tolist() == pytest.approx(rows.area_m2.tolist(), rel=1e-5)
    # Images that drop a slump because a cloud cuts it do not speak against it, neither against the parts that they show.
    assert (known.yearly.agreement == 1).all()
    assert set(known.tracks.years.footprint) == {"median"}


def test_ids_follow_the_slumps(known: Known) -> None:
    rows = named(known)
    assert rows.groupby("slump").found_slump_id.nunique().max() == 1
    assert rows.groupby("found_slump_id").slump.nunique().max() == 1
    assert set(rows.found_slump_id) == set(known.tracks.slumps.slump_id)


def test_the_split_and_the_merger_are_told_and_nothing_else(known: Known) -> None:
    ids = named(known).groupby("slump").found_slump_id.first()
    (whole, part), (taker, taken) = (ids[list(pair)] for pair in (known.series.split, known.series.merger))
    told = list(known.tracks.events[["kind", "year", "parents", "children"]].itertuples(index=False, name=None))
    assert told == [
        ("merge", 2021, " ".join(sorted([taker, taken])), taker),
        ("split", 2021, whole, " ".join(sorted([whole, part]))),
    ]


def test_growth_rates_are_those_of_the_true_areas(known: Known) -> None:
    rows, compared = named(known), 0
    rates = known.tracks.slumps.set_index("slump_id")
    events = {*known.series.split, *known.series.merger}
    for slump, mine in rows[~rows.slump.isin(events)].groupby("slump"):
        rate = rates.loc[mine.found_slump_id.iloc[0]]
        if len(mine) < 2:
            assert np.isnan(rate.growth_m2_per_year)
            continue
        dates = (mine[f"found_{name}_date"].to_numpy(dtype="datetime64[D]") for name in ("first", "last"))
        middle, zeros = np.mean([years_since_1970(each) for each in dates], axis=0), np.zeros(len(mine), dtype="int64")
        true = fit_growth(
            middle,
            mine.area_m2.to_numpy(),
            mine.found_area_std_m2.to_numpy(),
            stretch=zeros,
            slump_of_stretch=zeros[:1],
        )
        assert rate.growth_m2_per_year == pytest.approx(true.rate[0], abs=1), slump
        compared += 1
    assert compared > 8
    assert (rates.growth_m2_per_year > 0).sum() > 5


def test_names_stay_when_the_archive_grows_by_a_year(known: Known) -> None:
    first = track(known.yearly[known.yearly.year < 2021])
    second = track(known.yearly, previous=first)
    before, after = (each.years.set_index("object_id").slump_id for each in (first, second))
    assert after[before.index].tolist() == before.tolist()
    assert "retired" not in set(second.events.kind)
