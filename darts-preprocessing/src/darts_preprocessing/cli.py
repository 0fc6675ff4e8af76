"""``darts preprocess``."""

from pathlib import Path
from typing import Annotated

import typer


def preprocess(
    context: typer.Context,
    scenes: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE...",
            help="Scene folders and GeoTIFFs, folders and quoted patterns of them, lists (.txt, .csv, .parquet).",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results, <tile_id>.nc for each scene.")],
    dem: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Elevation model, as ArcticDEM has it, or a folder of its tiles."),
    ] = None,
    tcvis: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Tasseled-cap trends, as TCVIS has them, or a folder of their tiles."),
    ] = None,
    tcvis_release: Annotated[
        str | None,
        typer.Option(metavar="YEAR", help="Release of the trends, if their files do not say it or hold several."),
    ] = None,
    tcvis_rule: Annotated[
        str | None, typer.Option(help="How the image's date chooses the release of a folder: past_only or upstream.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Features to make; the usual ones if not given.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="BAND=NUMBER,...", help="Bands of GeoTIFFs: blue=1,green=2,red=3,nir=7.")
    ] = None,
    reflectance_scale: Annotated[
        float | None, typer.Option(help="Reflectance of one count of a GeoTIFF, if it does not say it.")
    ] = None,
    reflectance_offset: Annotated[
        float | None, typer.Option(help="Reflectance of the count 0 of a GeoTIFF, if it does not say it.")
    ] = None,
    sentinel2_offset_dn: Annotated[
        int | None,
        typer.Option(
            help="Count of reflectance 0 in historic Sentinel-2 folders and .SAFE products of baseline 99.xx, which may not say it: "
            "1000 from baseline 04.00 on, else 0."
        ),
    ] = None,
    sensor: Annotated[str | None, typer.Option(help="Sensor of scenes that do not say it.")] = None,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Date of scenes that do not say it.")] = None,
    tpi_outer_radius_m: Annotated[float | None, typer.Option(help="Radius of the relative elevation, metres.")] = None,
    tpi_inner_radius_m: Annotated[
        float | None, typer.Option(help="Its inner radius; 0 is a disc, above an annulus.")
    ] = None,
) -> None:
    """Turn scenes into tiles that models understand: harmonised bands, masks, features.

    Each scene is written to DIR/<tile_id>.nc, from where other steps go on. A scene that fails never stops the others.

    Exit codes: 0 all scenes are done, 1 some failed, 2 wrong usage.
    """
    from darts_preprocessing.from_files import load_and_preprocess
    from darts_preprocessing.steps import checked_options, scene_paths
    from darts_utils.commands.steps import TILE_SUFFIX, run_each
    from darts_utils.tile_io import write_tile

    given = {
        name: value for name, value in context.params.items() if value is not None and name not in ("scenes", "out")
    }
    options = checked_options(given)
    paths = scene_paths(scenes, out=out, bands=options.get("bands"))

    def preprocess_scene(scene: tuple[str, Path]) -> Path:
        tile_id, path = scene
        tile = load_and_preprocess(path, **options).assign_attrs(tile_id=tile_id)
        return write_tile(tile, out / f"{tile_id}{TILE_SUFFIX}")

    raise typer.Exit(run_each(list(paths.items()), preprocess_scene, name=lambda scene: scene[0], title="preprocess"))
