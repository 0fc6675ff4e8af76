"""``darts demo``."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_OUT = Path("demo-output")


def demo(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the sample and of the results.")] = DEFAULT_OUT,
) -> None:
    """Map the thaw slumps of a synthetic sample scene, and compare them with the known ones.

    Writes the files that a user has (scene folder, elevation model, trends) to DIR/sample, maps the scene as `darts run`
    does with the two small networks that come with DARTS, and prints what was found and where to look.

    Exit codes: 0 mapped, 1 the scene failed, 2 wrong usage.
    """
    import time

    import geopandas as gpd

    from darts_nextgen.commands.progress import follow
    from darts_nextgen.demo.overlap import measure_overlap
    from darts_nextgen.demo.sample import MODELS, write_sample
    from darts_nextgen.pipeline.config import RunConfig
    from darts_nextgen.pipeline.local import run_local

    typer.echo(f"sample scene: {out / 'sample'}")
    sample = write_sample(out / "sample")
    config = RunConfig(scene=(sample.scene,), models=(MODELS,), dem=sample.dem, tcvis=sample.tcvis, out=out / "results")
    started = time.monotonic()
    with follow() as progress:
        report = run_local(config, progress=progress)
    seconds = time.monotonic() - started
    for row in report.failed:
        typer.echo(f"failed: {row.scene} ({row.failed_stage}): {row.error}", err=True)
    for row in report.complete:
        found = gpd.read_parquet(row.products["prediction_segments_parquet"])
        extent = gpd.read_parquet(row.products["prediction_extent_parquet"])
        overlap = measure_overlap(found, gpd.read_file(sample.truth), extent=extent)
        when = f"in {seconds:.1f} s" if row.status == "done" else "by an earlier run"
        typer.echo(f"\n{row.objects} thaw slumps found, {overlap.found_area_ha:.1f} ha, {when}")
        typer.echo(
            f"of {overlap.known} known slumps {overlap.known_hit} were found, IoU of the outlines {overlap.iou:.3f} "
            f"({overlap.known_cut} more are cut by clouds or the border, where nothing is mapped)"
        )
        typer.echo(f"\nLook at these files in {Path(row.products['stac']).parent}:")
        for path in row.products.values():
            typer.echo(f"  {Path(path).name}")
        typer.echo(f"The known outlines are in {sample.truth}, the report of the run in {report.table}.")
    raise typer.Exit(report.exit_code)
