"""Label polygons: read, mended and counted, and what each scene has of them."""

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio.errors
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_segmentation.training.preparation_config import PreparationConfig
from darts_utils.dates import parse_date
from darts_utils.errors import TrainingDataError

_GROUND = "EPSG:3413"
"""Where footprints and polygons of any CRS meet, across the antimeridian too."""
_POINTS_PER_EDGE = 16
"""Of a footprint, whose edges are no straight lines in another CRS."""


@dataclass(frozen=True)
class Labels:
    """Polygons that can be used."""

    table: gpd.GeoDataFrame
    """Valid polygons in their own CRS, with their columns."""
    repaired: int
    """How many were invalid."""
    dropped: int
    """How many had no area, also after the repair."""


@dataclass(frozen=True)
class SceneLabels:
    """The polygons in one scene, in its CRS."""

    of_class: NDArray[np.object_]
    """Drawn on this image, certain: label 1."""
    ignored: NDArray[np.object_]
    """Uncertain, or drawn on another image: label 2 where no polygon of the class lies."""


@dataclass(frozen=True)
class Scene:
    """What matching needs to know of a scene."""

    name: str
    """Its tile id."""
    date: str
    """Of the image; ``unknown`` matches no date."""
    grid: GeoBox
    """Of the tile."""


@dataclass(frozen=True)
class Matching:
    """Which polygons lie in which scenes, and belong to them."""

    scenes: tuple[SceneLabels, ...]
    """Of each scene."""
    regions: tuple[str | None, ...]
    """Most frequent region of the polygons of each scene; None where they do not say."""
    outside: int
    """Polygons outside all scenes."""
    mismatched: int
    """Polygons in scenes of which none has their scene or date."""
    uncertain: int
    """Polygons that are marked so."""


def read_labels(labels: str | os.PathLike[str] | gpd.GeoDataFrame, *, config: PreparationConfig) -> Labels:
    """Read and mend label polygons.

    Args:
        labels: File of any kind that GeoPandas reads, or the table.
        config: Names of columns, and whether there may be no polygon.

    Raises:
        TrainingDataError: The file cannot be read, has no CRS, no polygons, other shapes, or lacks a column.
    """
    table = labels if isinstance(labels, gpd.GeoDataFrame) else _read(Path(labels))
    if table.crs is None:
        raise TrainingDataError("expected labels with a CRS, but got none: set it, e.g. with GeoDataFrame.set_crs")
    for name in (config.uncertain_column, config.scene_column, config.date_column):
        if name is not None and name not in table.columns:
            raise TrainingDataError(
                f"expected a column {name!r} in the labels, but got {', '.join(map(str, table.columns))}: correct the name"
            )
    shapes = table.geometry.to_numpy()
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    kinds = shapely.get_dimensions(shapes)
    if (there & (kinds < 2)).any():
        raise TrainingDataError(
            f"expected polygons as labels, but {int((there & (kinds < 2)).sum())} of {len(shapes)} are points or lines: remove "
            "them, or draw their outlines"
        )
    invalid = there & ~shapely.is_valid(shapes)
    mended = shapes.copy()
    mended[invalid] = [_polygons_of(shape) for shape in shapely.make_valid(shapes[invalid])]
    usable = there & (shapely.area(mended) > 0)
    if not usable.any() and config.unlabelled != "background":
        raise TrainingDataError(
            f"expected polygons as labels, but none of {len(shapes)} has an area: give labels, or say that all scenes are "
            "background (unlabelled = 'background')"
        )
    kept = table.set_geometry(gpd.GeoSeries(mended, index=table.index, crs=table.crs))[usable].reset_index(drop=True)
    return Labels(kept, int((invalid & usable).sum()), int((~usable).sum()))


def match_labels(
    labels: Labels, scenes: Sequence[Scene], *, config: PreparationConfig, is_complete: bool = True
) -> Matching:
    """Decide which polygons are burned into which scenes.

    Args:
        labels: The polygons.
        scenes: All scenes.
        config: Which columns say to which image a polygon belongs, and what to do about those that belong to none.
        is_complete: False: there are other scenes, to which the latter may belong, so that they are only counted.

    Returns:
        The polygons of each scene. One that lies in a scene but was drawn on another image is ignored there: it says
        nothing about this image, and neither does its absence.

    Raises:
        TrainingDataError: Polygons lie outside all scenes, or belong to none that they lie in, or scenes have none, and the
            config does not allow it. Says how many.
    """
    table = labels.table
    ground = table.geometry.to_crs(_GROUND).to_numpy()
    tree = shapely.STRtree(ground)
    uncertain = _uncertain(table, config)
    in_a_scene, matched = np.zeros(len(table), bool), np.zeros(len(table), bool)
    found, regions = [], []
    for scene in scenes:
        near = np.sort(tree.query(_footprint(scene.grid), predicate="intersects"))
        shapes = table.geometry.iloc[near].to_crs(str(scene.grid.crs)).to_numpy()
        inside = shapely.intersects(shapes, shapely.box(*scene.grid.boundingbox.bbox))
        near, shapes = near[inside], shapes[inside]
        own = _belongs(table.iloc[near], scene, config)
        in_a_scene[near], matched[near[own]] = True, True
        certain = own & ~uncertain[near]
        found.append(SceneLabels(shapes[certain], shapes[~certain]))
        regions.append(_most_frequent(table.iloc[near[own]], config.region_column))
    outside, mismatched = int((~in_a_scene).sum()), int((in_a_scene & ~matched).sum())
    if is_complete:
        _refuse_polygons(outside, mismatched, len(table), config)
    _refuse_unlabelled([s.name for s, f in zip(scenes, found, strict=True) if not _count(f)], config)
    return Matching(tuple(found), tuple(regions), outside, mismatched, int(uncertain.sum()))


def _refuse_polygons(outside: int, mismatched: int, count: int, config: PreparationConfig) -> None:
    if outside and outside == count and config.unlabelled != "background":
        raise TrainingDataError(
            f"expected labels in the scenes, but all {count} polygons are outside all of them: add their scenes, look at the CRS, "
            "or say that all scenes are background (outside = 'ignore' and unlabelled = 'background')"
        )
    if outside and config.outside == "raise":
        raise TrainingDataError(
            f"expected labels in the scenes, but {outside} of {count} polygons are outside all of them: add their scenes, look "
            "at the CRS, or allow it with outside = 'ignore'"
        )
    if mismatched and config.mismatched == "raise":
        raise TrainingDataError(
            f"expected labels of the scenes that they lie in, but {mismatched} of {count} polygons name another scene or date: add "
            "their scenes, correct the columns, or allow it with mismatched = 'ignore'"
        )


def _refuse_unlabelled(unlabelled: Sequence[str], config: PreparationConfig) -> None:
    if unlabelled and config.unlabelled == "raise":
        raise TrainingDataError(
            f"expected labels in every scene, but {len(unlabelled)} have none ({', '.join(unlabelled[:3])}, …): label them, or say "
            "what they are with unlabelled = 'background' or 'skip'"
        )


def _count(labels: SceneLabels) -> int:
    return len(labels.of_class) + len(labels.ignored)


def _read(path: Path) -> gpd.GeoDataFrame:
    try:
        return gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    except (OSError, ValueError, pyogrio.errors.DataSourceError) as error:
        raise TrainingDataError(f"cannot read labels '{path}' ({error}): check the path and the format") from error


def _polygons_of(shape: shapely.Geometry) -> shapely.Geometry:
    """What of a repaired polygon has an area."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def _footprint(grid: GeoBox) -> shapely.Geometry:
    edge = shapely.box(*grid.boundingbox.bbox)
    dense = shapely.segmentize(edge, edge.length / (4 * _POINTS_PER_EDGE))
    return gpd.GeoSeries([dense], crs=str(grid.crs)).to_crs(_GROUND).iloc[0]


def _uncertain(table: gpd.GeoDataFrame, config: PreparationConfig) -> NDArray[np.bool_]:
    if config.uncertain_column is None:
        return np.zeros(len(table), bool)
    words = table[config.uncertain_column].map(lambda value: str(value).strip().lower().removesuffix(".0"))
    marked: NDArray[np.bool_] = words.isin([value.lower() for value in config.uncertain_values]).to_numpy(bool)
    return marked


def _belongs(table: gpd.GeoDataFrame, scene: Scene, config: PreparationConfig) -> NDArray[np.bool_]:
    """Which polygons were drawn on the image of a scene, as far as they say."""
    belongs = np.ones(len(table), bool)
    if config.scene_column is not None:
        names = table[config.scene_column]
        same = [str(name) == scene.name or str(name).startswith(f"{scene.name}_") for name in names]
        belongs &= np.array(same, bool) | names.isna().to_numpy(bool)
    if config.date_column is not None:
        belongs &= np.array([_same_date(value, scene.date, config) for value in table[config.date_column]], bool)
    return belongs


def _same_date(value: object, date: str, config: PreparationConfig) -> bool:
    if pd.isna(value):
        return True
    text = value.date().isoformat() if isinstance(value, dt.datetime) else str(value)
    try:
        drawn_on = parse_date(text)
    except ValueError as error:
        raise TrainingDataError(f"column {config.date_column!r} of the labels: {error}") from error
    try:
        return abs((parse_date(date) - drawn_on).days) <= config.date_tolerance_days
    except ValueError:  # the scene does not say when it was taken
        return False


def _most_frequent(table: gpd.GeoDataFrame, column: str | None) -> str | None:
    if column is None or column not in table.columns:
        return None
    counts = table[column].dropna().astype(str).value_counts()
    return None if counts.empty else str(min(counts.index[counts == counts.max()]))
