"""``darts postprocess``."""

from pathlib import Path
from typing import Annotated

import typer


def postprocess(
    context: typer.Context,
    tiles: Annotated[
        list[Path], typer.Argument(metavar="TILE...", help="Tile files (*.nc) with probabilities, and folders of them.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results, under the names of the tiles.")],
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
        bool | None,
        typer.Option("--keep-members/--no-keep-members", help="Do the same for each model's probabilities."),
    ] = None,
) -> None:
    """Turn the probabilities of tiles into thaw slumps, and say where they can be trusted.

    Each tile is written to DIR with the variables extent, probabilities_percent and binarized_segmentation; attributes record
    the options. A tile that fails never stops the others. Defaults are those of darts_postprocessing.PostprocessingConfig.

    Exit codes: 0 all tiles are done, 1 some failed, 2 wrong usage.
    """
    from dataclasses import asdict
    from functools import partial

    from darts_postprocessing.checks import check_options, parse_thresholds
    from darts_postprocessing.config import PostprocessingConfig
    from darts_postprocessing.postprocessing import postprocess as verb
    from darts_utils.commands.options import given_options
    from darts_utils.commands.steps import run_verb
    from darts_utils.errors import ConfigError

    given = given_options(context.params, of=PostprocessingConfig)
    try:
        if further_thresholds is not None:
            given["further_thresholds"] = parse_thresholds(further_thresholds)
        options = PostprocessingConfig(**given)
        check_options(options)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    raise typer.Exit(run_verb(partial(verb, **asdict(options)), tiles, out=out, title="postprocess"))
