"""Products that are tables of polygons."""

from collections.abc import Callable
from pathlib import Path

import geopandas
import pystac

from darts_export.contents import Contents
from darts_export.ellipsoid import to_ellipsoid
from darts_export.members import check_members, member_variable, members_of
from darts_export.rows import Product, ProductFile, style_file
from darts_export.text import stated
from darts_export.vector_files import write_geopackage, write_geoparquet
from darts_export.vector_styles import extent_style, segments_style


def segments(model: str | None = None) -> Product:
    """Make the row of the objects of the ensemble, or of one member."""

    def verify(contents: Contents) -> None:
        _verify_table(contents)
        check_members(contents.tile, model=model)

    name = member_variable("prediction_segments", model)
    return Product(
        name,
        _vector_files(name, "Thaw slumps as polygons", lambda contents: contents.segments(model), segments_style),
        needs=(
            member_variable("probabilities", model),
            member_variable("binarized_segmentation", model),
            "extent",
        ),
        reads_too=members_of,
        verify=verify,
    )


def extent() -> Product:
    """Make the row of the area in which the result is trusted."""
    name = "prediction_extent"
    return Product(
        name,
        _vector_files(name, "Area in which the result is trusted", lambda contents: contents.extent(), extent_style),
        needs=("extent",),
        verify=_verify_table,
    )


def _verify_table(contents: Contents) -> None:
    to_ellipsoid(str(contents.grid.crs), consumer="areas")
    for name in ("date", "sensor"):
        stated(contents.tile, name)


def _vector_files(
    name: str, title: str, table: Callable[[Contents], geopandas.GeoDataFrame], style: Callable[[], bytes]
) -> tuple[ProductFile, ...]:
    return (
        ProductFile(
            name,
            f"{name}.gpkg",
            title,
            str(pystac.MediaType.GEOPACKAGE),
            lambda contents, path: write_geopackage(table(contents), path, layer=name),
        ),
        ProductFile(
            f"{name}_parquet",
            f"{name}.parquet",
            title,
            "application/vnd.apache.parquet",
            lambda contents, path: write_geoparquet(table(contents), path),
        ),
        style_file(name, lambda _contents, path: _write_style(path, style())),
    )


def _write_style(path: Path, style: bytes) -> None:
    path.write_bytes(style)
