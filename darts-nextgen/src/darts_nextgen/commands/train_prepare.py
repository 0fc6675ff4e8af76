"""``darts train prepare``."""

from pathlib import Path
from typing import Annotated

import typer

from darts_nextgen.commands import scene_options


def train_prepare(
    context: typer.Context,
    *,
    config: scene_options.ConfigFile = None,
    scene: scene_options.Scene = None,
    scenes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB_OR_LIST", help="Many scenes, as for darts run, but no standard input; repeat for more."
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Label polygons, in any CRS.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the patches; what is current in it stays.")
    ] = None,
    regions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Polygons of regions, or a .toml file with lines TILE_ID = 'region'."),
    ] = None,
    dem: scene_options.Dem = None,
    tcvis: scene_options.Tcvis = None,
    tcvis_release: scene_options.TcvisRelease = None,
    tcvis_rule: Annotated[
        str | None, typer.Option(help="How a scene's date chooses among releases: past_only or upstream.")
    ] = None,
    bands: scene_options.Bands = None,
    reflectance_scale: scene_options.ReflectanceScale = None,
    reflectance_offset: scene_options.ReflectanceOffset = None,
    sentinel2_offset_dn: scene_options.Sentinel2OffsetDn = None,
    sensor: scene_options.Sensor = None,
    date: scene_options.Date = None,
    features: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Features to make; the usual ones if not given.")
    ] = None,
    tpi_outer_radius_m: scene_options.TpiOuterRadiusM = None,
    tpi_inner_radius_m: scene_options.TpiInnerRadiusM = None,
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
    others; it is forgotten, as are those that are skipped. Scenes from before that are not named stay, with a warning.

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
