"""``darts ensemble``."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def ensemble(
    context: typer.Context,
    tiles: Annotated[
        list[Path], typer.Argument(metavar="TILE...", help="Preprocessed tile files (*.nc), and folders of them.")
    ],
    *,
    models: Annotated[
        list[Path], typer.Option(metavar="FILE_OR_DIR", help="Model file, or folder of them; repeat for more.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results, under the names of the tiles.")],
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME=NUMBER,...", help="Weight of each model in the mean; all the same if not given."),
    ] = None,
    keep_members: Annotated[bool, typer.Option("--keep-members", help="Keep what each model says, too.")] = False,
    keep_std: Annotated[bool, typer.Option("--keep-std", help="Keep how far the models disagree, too.")] = False,
    missing: Annotated[
        Literal["raise", "skip"],
        typer.Option(
            help="A model that needs what a tile lacks: raise (the tile fails) or skip (do without it there)."
        ),
    ] = "raise",
    device: Annotated[str, typer.Option(help="Where the networks run: auto, cpu, cuda, cuda:N.")] = "auto",
    patch_px: Annotated[int | None, typer.Option(help="Edge length of a patch; each model's own if not given.")] = None,
    overlap_px: Annotated[int | None, typer.Option(help="Overlap of neighbouring patches.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Patches in one call of a network; what suits the device if not given.")
    ] = None,
    padding_px: Annotated[int | None, typer.Option(help="Mirrored border around a tile; 0 adds none.")] = None,
    ramp: Annotated[str | None, typer.Option(help="Blending of patches: open or closed.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; what suits the device if not given.")
    ] = None,
    symmetries: Annotated[
        bool | None, typer.Option("--symmetries", help="Show each patch in its eight symmetries: 8 times the work.")
    ] = None,
    compile_network: Annotated[
        bool | None, typer.Option("--compile-network", help="Compile the networks first; pays for many tiles.")
    ] = None,
) -> None:
    """Find thaw slumps in tiles with several models, whose probabilities are averaged.

    The models may be of different frameworks, patch sizes and input variables. Each tile is written to DIR with the variable
    probabilities, whose attributes say which models were averaged. Small tiles go through the networks together; a tile that
    fails never stops the others.

    Exit codes: 0 all tiles are done, 1 some failed, 2 wrong usage.
    """
    from functools import partial

    from darts_ensemble.ensemble import Ensemble
    from darts_ensemble.weighting import parse_weights
    from darts_utils.commands.groups import run_model
    from darts_utils.commands.options import given_options
    from darts_utils.commands.steps import tile_files
    from darts_utils.inference.config import InferenceConfig

    options = InferenceConfig(**given_options(context.params, of=InferenceConfig))
    shares = None if weights is None else parse_weights(weights)
    tile_files(tiles)  # a wrong path shows before the networks are loaded
    loaded = Ensemble.load(models, device=device, weights=shares)
    loaded.inference_batched([], options=options)  # so do options that do not fit
    verb = partial(
        loaded.inference_batched, options=options, keep_members=keep_members, keep_std=keep_std, missing=missing
    )
    raise typer.Exit(run_model(verb, tiles, out=out, title="ensemble"))
