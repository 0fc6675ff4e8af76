"""``darts run``."""

from pathlib import Path
from typing import Annotated

import typer

from darts_nextgen.commands import scene_options


def run(
    context: typer.Context,
    *,
    config: scene_options.ConfigFile = None,
    scene: scene_options.Scene = None,
    scenes: scene_options.Scenes = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE_OR_DIR", help="Model file, or folder of *.pt and *.safetensors; repeat for an ensemble."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME=NUMBER,...", help="Weight of each model in the mean; all the same if not given."),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            metavar="raise|skip",
            help="A model that needs what there is not, such as trends: an error, or the map is made without it.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the results; what is current in it stays.")
    ] = None,
    dem: scene_options.Dem = None,
    tcvis: scene_options.Tcvis = None,
    tcvis_release: scene_options.TcvisRelease = None,
    tcvis_rule: scene_options.TcvisRule = None,
    bands: scene_options.Bands = None,
    reflectance_scale: scene_options.ReflectanceScale = None,
    reflectance_offset: scene_options.ReflectanceOffset = None,
    sentinel2_offset_dn: scene_options.Sentinel2OffsetDn = None,
    sensor: scene_options.Sensor = None,
    date: scene_options.Date = None,
    retries: Annotated[
        int | None, typer.Option(help="How often a step is tried again after an error that may pass.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where the networks run: auto, cpu, cuda, cuda:N.")] = None,
    tpi_outer_radius_m: scene_options.TpiOuterRadiusM = None,
    tpi_inner_radius_m: scene_options.TpiInnerRadiusM = None,
    overlap_px: Annotated[int | None, typer.Option(help="Overlap of neighbouring patches.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Patches in one call of a network; by device if not given.")
    ] = None,
    padding_px: Annotated[int | None, typer.Option(help="Mirrored border around a tile; 0 adds none.")] = None,
    ramp: Annotated[str | None, typer.Option(help="Blending of patches: open or closed.")] = None,
    patch_px: Annotated[int | None, typer.Option(help="Edge length of a patch; each model's own if not given.")] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Numbers in which networks compute: float32, bfloat16 or float16; by device if not given."),
    ] = None,
    symmetries: Annotated[
        bool | None,
        typer.Option(
            "--symmetries/--no-symmetries", help="Show each patch turned and mirrored, too: eight times the work."
        ),
    ] = None,
    compile_network: Annotated[
        bool | None,
        typer.Option("--compile-network/--no-compile-network", help="Compile networks first: pays for many scenes."),
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="A slump is where the probability is above this.")] = None,
    high_threshold: Annotated[
        float | None, typer.Option(help="Slumps without a pixel whose probability is above this are dropped.")
    ] = None,
    further_thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER,...", help="More thresholds, such as 0.3,0.7; each makes binarized_above-PERCENT."
        ),
    ] = None,
    mask: Annotated[str | None, typer.Option(help="Which pixels are trusted: quality, valid or none (all).")] = None,
    radius_px: Annotated[int | None, typer.Option(help="How far missing data make their surroundings unsure.")] = None,
    edge_px: Annotated[int | None, typer.Option(help="Width of the border that is not trusted.")] = None,
    min_object_px: Annotated[int | None, typer.Option(help="Smaller slumps are dropped.")] = None,
    edge_objects: Annotated[str | None, typer.Option(help="Slumps that leave the trusted area: drop or keep.")] = None,
    drop_water: Annotated[
        bool | None, typer.Option("--drop-water/--no-drop-water", help="Slumps that are mostly water are dropped.")
    ] = None,
    water_max_ndvi: Annotated[float | None, typer.Option(help="Largest NDVI of water.")] = None,
    water_max_nir: Annotated[
        float | None, typer.Option(help="Largest near infrared reflectance of water, 0 to 1.")
    ] = None,
    min_slope_deg: Annotated[
        float | None, typer.Option(help="Slumps on ground that is mostly flatter are dropped, degrees.")
    ] = None,
    max_slope_deg: Annotated[
        float | None, typer.Option(help="Slumps on ground that is mostly steeper are dropped, degrees.")
    ] = None,
    max_implausible_share: Annotated[
        float | None, typer.Option(help="What mostly means for water and slope: more than this share of the pixels.")
    ] = None,
    keep_members: Annotated[
        bool | None, typer.Option("--keep-members/--no-keep-members", help="Write what each model says, too.")
    ] = None,
    products: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="What to write, such as probabilities,prediction_segments,stac."),
    ] = None,
    compression: Annotated[str | None, typer.Option(help="Of the rasters: ZSTD, DEFLATE, LZW or LERC.")] = None,
    lerc_max_error: Annotated[
        float | None, typer.Option(help="How far LERC may move a stored value; 0 keeps every value.")
    ] = None,
    overviews: Annotated[
        bool | None, typer.Option("--overviews/--no-overviews", help="Rasters hold coarser copies of themselves, too.")
    ] = None,
    simplify_tolerance_m: Annotated[
        float | None, typer.Option(help="Size of the details that outlines may lose, metres; 0 keeps them all.")
    ] = None,
    styles: Annotated[
        bool | None, typer.Option("--styles/--no-styles", help="A QGIS style beside each raster and each table.")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(metavar="local|ray", help="Where the work is done: in this process, or on a Ray cluster."),
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster; RAY_ADDRESS, or a new one on this machine, if not given.")
    ] = None,
    task_cpus: Annotated[float | None, typer.Option(help="CPUs of a Ray task that loads or writes a tile.")] = None,
    task_memory_gb: Annotated[float | None, typer.Option(help="Memory of such a task, 10^9 bytes.")] = None,
    model_workers: Annotated[int | None, typer.Option(help="Ray workers that hold the models.")] = None,
    model_cpus: Annotated[float | None, typer.Option(help="CPUs of each of them.")] = None,
    model_gpus: Annotated[float | None, typer.Option(help="GPUs of each of them, also a part of one.")] = None,
    tiles_per_call: Annotated[
        int | None, typer.Option(help="Tiles whose patches share the batches of a network, with Ray.")
    ] = None,
    in_flight_gb: Annotated[
        float | None, typer.Option(help="Tiles on their way between Ray's stages, 10^9 bytes.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the effective configuration, and stop.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say for each scene what would be done and why, and stop.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Map all scenes, also those whose results are current.")
    ] = False,
) -> None:
    """Map the thaw slumps of scenes.

    For each scene, DIR/<tile>/ receives rasters, polygons, a thumbnail, a STAC item and a manifest; DIR/results.parquet/ says
    what became of every scene of the last run, DIR/errors/<tile>.txt where a scene failed, DIR/run.toml is its effective configuration: `darts run --config DIR/run.toml`
    does the same again. Scenes whose results are complete and current (same inputs, models, options and version) are left as
    they are; --explain says what would be done and why. A scene that cannot be mapped never stops the others. Defaults are
    those that --dry-run prints.

    Exit codes: 0 all scenes are mapped, 1 some failed, 2 wrong usage.
    """
    from darts_nextgen.commands.options import OF_THE_COMMAND, config_of
    from darts_nextgen.commands.progress import follow
    from darts_nextgen.pipeline.local import run_local
    from darts_nextgen.pipeline.plan import plan_run
    from darts_nextgen.pipeline.runfiles import config_toml
    from darts_utils.errors import ConfigError

    options = {name: value for name, value in context.params.items() if name not in OF_THE_COMMAND}
    if engine not in ("local", "ray"):
        raise ConfigError(f"expected --engine to be local or ray, but got {engine!r}")
    run_config = config_of(options, file=config)
    if dry_run:
        if engine == "ray":
            from darts_nextgen import plan_ray

            for line in plan_ray(run_config).lines():
                typer.echo(f"# {line}")
        else:
            plan_run(run_config)
        typer.echo(config_toml(run_config), nl=False)
        return
    if explain:
        plan = plan_run(run_config)
        for task in plan.tasks:
            verdict = plan.judge(task, force=force)
            typer.echo(f"{task.tile_id}: {'current' if verdict.is_current else '; '.join(verdict.reasons)}")
        return
    if engine == "ray":
        from darts_nextgen import run_ray as run_on_engine
    else:
        run_on_engine = run_local
    with follow() as progress:
        report = run_on_engine(run_config, force=force, progress=progress)
    for row in report.rows:
        if row.status == "failed":
            typer.echo(f"failed: {row.scene} ({row.failed_stage}): {row.error}", err=True)
    counts = report.counts
    current = f", {counts['current']} were current" if counts["current"] else ""
    typer.echo(
        f"{counts['done']} of {len(report.rows)} scenes mapped{current}, thaw slumps: {report.objects}; see {report.table}"
    )
    raise typer.Exit(report.exit_code)
