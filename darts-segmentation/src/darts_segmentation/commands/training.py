"""``darts train fit``, ``resume``, ``evaluate``, ``cross-validate``, ``tune`` and ``card``."""

from pathlib import Path
from typing import Annotated, Any

import typer

_DATA = typer.Argument(metavar="DATA", help="Folder of patches, as `darts train prepare` leaves it.")
_CONFIG = typer.Option(metavar="FILE", help="Configuration of a training (TOML); the defaults if not given.")
_START = typer.Option(
    metavar="FILE",
    help="Model that training begins with, for fine-tuning; also a run folder. Refused where patches that are to validate or "
    "test have made it.",
)
_LEGACY = typer.Option(
    metavar="NAME",
    help="How the inputs of an older model were scaled, where its file does not say: dn3000 or reflectance …",
)


def train_fit(
    data: Annotated[Path, _DATA],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the training; new.")],
    config: Annotated[Path | None, _CONFIG] = None,
    start: Annotated[Path | None, _START] = None,
    legacy_normalization: Annotated[str | None, _LEGACY] = None,
) -> None:
    """Train a segmentation model on patches.

    DIR gets the model, its card and its scores. A training that is killed goes on with `darts train resume DIR`.

    Exit codes: 0 the model is there, 2 it is not.
    """
    from darts_segmentation.training import train

    result = train(data, out, config=_config(config), start=start, legacy_normalization=legacy_normalization)
    _tell(result)


def train_resume(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a training.")],
    *,
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", help="Where the patches are, if they have been moved.")
    ] = None,
) -> None:
    """Go on with a training after its last complete epoch.

    On a CPU it ends with the same weights as if nothing had happened.

    Exit codes: 0 the model is there, 2 it is not.
    """
    from darts_segmentation.training import resume

    _tell(resume(out, data=data))


def train_evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file of any shape, or run folder.")],
    data: Annotated[Path, _DATA],
    *,
    part: Annotated[
        str,
        typer.Option(
            help="test, validation or training: of the model's own data; all: of any data, with a warning where the model trained on them."
        ),
    ] = "test",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Gets scores.json, scores.csv and reliability.csv.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Probability above which a pixel is of the class.")] = None,
    boundary_width_px: Annotated[float | None, typer.Option(help="Width of rims, for the boundary IoU.")] = None,
    device: Annotated[str, typer.Option(help="Where the network runs: auto, cpu, cuda, cuda:N.")] = "auto",
    legacy_normalization: Annotated[str | None, _LEGACY] = None,
) -> None:
    """Score a model on patches, overall and by region.

    Exit codes: 0 scored, 2 not.
    """
    from darts_segmentation.training import evaluate
    from darts_segmentation.training.evaluation import scoring_options

    result = evaluate(
        model,
        data,
        part=part,  # type: ignore[arg-type]  # checked there
        out=out,
        options=scoring_options(threshold, boundary_width_px),
        device=device,
        legacy_normalization=legacy_normalization,
    )
    for region, scores in result.regions.items():
        typer.echo(_line(region, scores))
    typer.echo(_line("all", result.overall))


def train_cross_validate(
    data: Annotated[Path, _DATA],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Gets a training for each fold; goes on if it has some.")],
    folds: Annotated[int, typer.Option(help="Number of folds; what stays together says [split] method.")],
    config: Annotated[Path | None, _CONFIG] = None,
    start: Annotated[Path | None, _START] = None,
    legacy_normalization: Annotated[str | None, _LEGACY] = None,
) -> None:
    """Train once for each fold and test on what was held out.

    Exit codes: 0 all folds are done, 2 not.
    """
    from darts_segmentation.training import cross_validate

    result = cross_validate(
        data,
        out,
        config=_config(config),
        folds=folds,
        start=start,
        legacy_normalization=legacy_normalization,
    )
    for number, fold in enumerate(result.folds):
        typer.echo(_line(f"fold {number}", fold.overall))
    mean, std = result.mean, result.std
    typer.echo(
        "mean: " + ", ".join(f"{name} {mean[name]:.3f} ± {std[name]:.3f}" for name in ("iou", "f1", "instance_f1"))
    )


def train_tune(
    data: Annotated[Path, _DATA],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Of the search; several processes may share it.")],
    space: Annotated[Path, typer.Option(metavar="FILE", help="What is tuned, and between which limits (TOML).")],
    trials: Annotated[int, typer.Option(help="Number of trials of all processes together.")],
    config: Annotated[Path | None, _CONFIG] = None,
    start: Annotated[Path | None, _START] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="Storage of Optuna; SQLite in DIR if not given.")
    ] = None,
    legacy_normalization: Annotated[str | None, _LEGACY] = None,
) -> None:
    """Search for the configuration with the best score on the validation patches.

    Exit codes: 0 there is a best one, 2 not.
    """
    from darts_segmentation.training import read_search_space, tune

    base = _config(config)
    result = tune(
        data,
        out,
        config=base,
        space=read_search_space(space, config=base),
        trials=trials,
        start=start,
        storage=storage,
        legacy_normalization=legacy_normalization,
    )
    typer.echo(f"{result.config_file}: {base.monitor.monitor} {result.score:.4f}, best of {result.trials} trials")


def train_card(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file of `darts train fit`.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Markdown file; printed if not given.")] = None,
) -> None:
    """Write the card of a model: training data, scores by region, calibration, known limits.

    Exit codes: 0 written, 2 not.
    """
    from darts_segmentation.training import model_card
    from darts_utils.files import atomic_path
    from darts_utils.inference import read_checkpoint
    from darts_utils.inference.checkpoint import naming_file

    checkpoint = read_checkpoint(model)
    with naming_file(model):
        text = model_card(checkpoint)
    if out is None:
        typer.echo(text, nl=False)
        return
    with atomic_path(out) as path:
        path.write_text(text, encoding="utf-8")


def _config(path: Path | None) -> Any:
    from darts_segmentation.training import TrainingConfig, read_training_config

    return TrainingConfig() if path is None else read_training_config(path)


def _tell(result: Any) -> None:
    typer.echo(f"{result.model}: best of epoch {result.epochs}")
    for part, scores in result.scores.items():
        typer.echo(_line(part, scores.overall))


def _line(name: str, scores: Any) -> str:
    shown = ("iou", "f1", "precision", "recall", "ap", "auroc", "boundary_iou", "instance_f1", "instance_ap")
    return f"{name}: {scores.patches} patches, " + ", ".join(f"{each} {getattr(scores, each):.3f}" for each in shown)
