"""``darts segment``, ``darts model inspect`` and ``darts model convert``."""

from pathlib import Path
from typing import Annotated

import typer

_LEGACY_HELP = (
    "How the inputs of an older model were scaled, where its file does not say: dn3000 or reflectance, followed by +tpi50 or "
    "+tpi300 where relative elevation is an input."
)


def segment(
    context: typer.Context,
    tiles: Annotated[
        list[Path], typer.Argument(metavar="TILE...", help="Preprocessed tile files (*.nc), and folders of them.")
    ],
    *,
    model: Annotated[Path, typer.Option(metavar="FILE", help="Model file.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results, under the names of the tiles.")],
    device: Annotated[str, typer.Option(help="Where the network runs: auto, cpu, cuda, cuda:N.")] = "auto",
    patch_px: Annotated[int | None, typer.Option(help="Edge length of a patch; the model's own if not given.")] = None,
    overlap_px: Annotated[
        int | None, typer.Option(help="Overlap of neighbouring patches; an eighth of the patch if not given.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Patches in one call of the network; what suits the device if not given.")
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
        bool | None, typer.Option("--compile-network", help="Compile the network first; pays for many tiles.")
    ] = None,
) -> None:
    """Find thaw slumps in tiles with one model.

    Each tile is written to DIR with the variable probabilities. Small tiles go through the network together; a tile that
    fails never stops the others.

    Exit codes: 0 all tiles are done, 1 some failed, 2 wrong usage.
    """
    from functools import partial

    from darts_segmentation.segmenter import Segmenter
    from darts_utils.commands.groups import run_model
    from darts_utils.commands.options import given_options
    from darts_utils.commands.steps import tile_files
    from darts_utils.inference.config import InferenceConfig

    options = InferenceConfig(**given_options(context.params, of=InferenceConfig))
    tile_files(tiles)  # a wrong path shows before the network is loaded
    segmenter = Segmenter.load(model, device=device)
    segmenter.inference_batched([], options=options)  # so do options that do not fit
    verb = partial(segmenter.inference_batched, options=options)
    raise typer.Exit(run_model(verb, tiles, out=out, title="segment"))


def model_inspect(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Model file of any shape, or run folder of thaw-slump-segmentation.")
    ],
    *,
    legacy_normalization: Annotated[str | None, typer.Option(metavar="NAME", help=_LEGACY_HELP)] = None,
    check: Annotated[bool, typer.Option(help="Build the network and try whether everything fits together.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a model file is, what it needs and how its inputs were normalised.

    Exit codes: 0 it can be used, 2 it cannot.
    """
    import json

    from darts_segmentation.model_files import check_usable
    from darts_utils.inference import describe_checkpoint, read_checkpoint
    from darts_utils.inference.checkpoint import naming_file

    checkpoint = read_checkpoint(file, legacy_normalization=legacy_normalization)
    with naming_file(file):
        description = describe_checkpoint(checkpoint)
    if as_json:
        typer.echo(json.dumps(description.to_json(), indent=2, ensure_ascii=False, default=str))
    else:
        typer.echo("\n".join(description.lines()))
    if check:
        check_usable(file, checkpoint)


def model_convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Model file of any shape, or run folder of thaw-slump-segmentation.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="*.pt, or *.safetensors, which gets a *.json twin.")],
    *,
    legacy_normalization: Annotated[str | None, typer.Option(metavar="NAME", help=_LEGACY_HELP)] = None,
    check: Annotated[bool, typer.Option(help="Build the network first, and write only what can be used.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT where it exists.")] = False,
) -> None:
    """Write a model file of any shape as a .pt or .safetensors file of today's shape.

    Exit codes: 0 written, 2 not.
    """
    from darts_segmentation.model_files import convert_model

    written = convert_model(source, target, legacy_normalization=legacy_normalization, check=check, overwrite=overwrite)
    for path in written:
        typer.echo(str(path))
