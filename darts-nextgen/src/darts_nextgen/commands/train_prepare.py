"""``darts train prepare``."""

from pathlib import Path
from typing import Annotated

import typer


def train_prepare(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of options; what is given on the command line counts more.")
    ] = None,
    scene: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Scene folder or GeoTIFF; repeat for more.")
    ] = None,
    scenes: Annotated[
        list[str] | None, typer.Option(metavar="GLOB_OR_LIST", help="Many scenes, as for darts run; repeat for more.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Label polygons, in any CRS.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the patches; what is current in it stays.")
    ] = None,
    regions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Polygons of regions, or a .toml file with lines TILE_ID = 'region'."),
    ] = None,
    dem: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Elevation model: ArcticDEM raster, or folder of tiles.")
    ] = None,
    tcvis: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Tasseled-cap trends: TCVIS raster, or folder of rasters.")
    ] = None,
    tcvis_release: Annotated[
        str | None, typer.Option(metavar="YEAR", help="Release of the trends, if their files do not say it.")
    ] = None,
    tcvis_rule: Annotated[
        str | None, typer.Option(help="How a scene's date chooses among releases: past_only or upstream.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="BAND=NUMBER,...", help="Bands of GeoTIFFs: blue=1,green=2,red=3,nir=4.")
    ] = None,
    reflectance_scale: Annotated[
        float | None, typer.Option(help="Reflectance of one count of a GeoTIFF, if it does not say it.")
    ] = None,
    reflectance_offset: Annotated[
        float | None, typer.Option(help="Reflectance of the count 0 of a GeoTIFF, if it does not say it.")
    ] = None,
    sentinel2_offset_dn: Annotated[
        int | None,
        typer.Option(help="Count of reflectance 0 in Sentinel-2 folders: 1000 from baseline 04.00 on, else 0."),
    ] = None,
    sensor: Annotated[str | None, typer.Option(help="Sensor of scenes that do not say it.")] = None,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Date of scenes that do not say it.")] = None,
    features: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Features to make; the usual ones if not given.")
    ] = None,
    tpi_outer_radius_m: Annotated[float | None, typer.Option(help="Radius of the relative elevation, metres.")] = None,
    tpi_inner_radius_m: Annotated[
        float | None, typer.Option(help="Its inner radius; 0 is a disc, above an annulus.")
    ] = None,
    patch_px: Annotated[int | None, typer.Option(help="Edge length of a patch.")] = None,
    overlap_px: Annotated[int | None, typer.Option(help="Overlap of neighbouring patches.")] = None,
    variables: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Variables to keep; all but masks if not given.")
    ] = None,
    min_known_share: Annotated[float | None, typer.Option(help="Patches of which less is known are left out.")] = None,
    background_share: Annotated[
        float | None, typer.Option(help="Share of the patches without a slump that are kept.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draw of these.")] = None,
    uncertain_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column that says whether a polygon is uncertain: label 2.")
    ] = None,
    uncertain_values: Annotated[
        str | None, typer.Option(metavar="TEXT,...", help="What it holds then; 1,true,yes,uncertain if not given.")
    ] = None,
    scene_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column with the scene that a polygon was drawn on.")
    ] = None,
    date_column: Annotated[str | None, typer.Option(metavar="NAME", help="Column with the date of that image.")] = None,
    date_tolerance_days: Annotated[int | None, typer.Option(help="Days by which these may differ.")] = None,
    region_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column with the region, of --regions or else of the labels.")
    ] = None,
    mismatched: Annotated[
        str | None,
        typer.Option(metavar="raise|ignore", help="Polygons of other scenes or dates than those they lie in."),
    ] = None,
    outside: Annotated[str | None, typer.Option(metavar="raise|ignore", help="Polygons outside all scenes.")] = None,
    unlabelled: Annotated[
        str | None, typer.Option(metavar="raise|background|skip", help="Scenes in which there is no polygon.")
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Scenes that are cut into patches at a time.")] = None,
) -> None:
    """Cut labelled scenes into patches for a training.

    Scenes are loaded and preprocessed as by darts run, into DIR/tiles, and cut into patches in DIR/scenes, labelled 1 where
    the centre of a pixel is in a polygon, 2 where nothing is known (no good data, uncertain polygons, polygons of other
    images), else 0. What is current stays, so that a run that was interrupted goes on. A scene that fails never stops the
    others.

    Exit codes: 0 all scenes are done, 1 some failed, 2 wrong usage.
    """
    from darts_nextgen.commands.training_options import training_scenes_of
    from darts_nextgen.pipeline.training_scenes import prepare_scenes
    from darts_utils.commands.progress import progress_bar

    options = {name: value for name, value in context.params.items() if name != "config"}
    wanted = training_scenes_of(options, file=config)
    with progress_bar("scenes") as bar:
        report = prepare_scenes(wanted, progress=bar)
    for name, error in report.failed.items():
        typer.echo(f"failed: {name}: {error}", err=True)
    made = report.patches
    if made is not None:
        typer.echo(
            f"{len(made.scenes) - len(made.failed)} of {len({*report.failed, *(row.scene for row in made.scenes)})} scenes in "
            f"'{wanted.out}': {made.patches} patches, {made.positive_share:.2%} slumps; left out: "
            f"{sum(row.left_out for row in made.scenes)}"
        )
        typer.echo(
            f"{made.labels} polygons: {made.repaired} repaired, {made.dropped} more without area, {made.uncertain} uncertain, "
            f"{made.outside} outside, {made.mismatched} of other images"
        )
    raise typer.Exit(report.exit_code)
