"""Run folders of thaw-slump-segmentation: ``config.yml`` beside ``checkpoints/NN.pt``, one file of weights for each epoch.

The weights carry the prefix ``module.`` where the run used DataParallel. Channels are those of the data sources in
alphabetical order of their names, whatever the order in the file. Inputs were divided by constants and not clipped:

======================  ======================================  ===========================================
source                  channels                                network input
======================  ======================================  ===========================================
``ndvi``                ``ndvi``                                (ndvi + 1) · 10 000 / 20 000
``planet``              ``blue``, ``green``, ``red``, ``nir``   reflectance · 10 000 / 3000
``relative_elevation``  ``relative_elevation``                  (m + 50) / 100, or within 300 m (m + 30) / 100
``slope``               ``slope``                               degrees / 90
``tcvis``               ``tc_brightness`` … ``tc_wetness``      value / 255
======================  ======================================  ===========================================

Nothing in the folder says which relative elevation it was, so the user must. Imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from darts_utils.errors import CheckpointError
from darts_utils.files import is_file
from darts_utils.inference.legacy.configs import assembled_config
from darts_utils.inference.legacy.scalings import HOW_TO_STATE_IT, legacy_scalings, split_legacy_normalization
from darts_utils.inference.nesting import check_nesting
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

_CONFIG, _EPOCHS = "config.yml", "checkpoints"
_PREFIX = "module."
_SHAPE = "run folder of thaw-slump-segmentation"

_CHANNELS: Mapping[str, tuple[str, ...]] = {
    "ndvi": ("ndvi",),
    "planet": OPTICAL_BANDS,
    "relative_elevation": ("relative_elevation",),
    "slope": ("slope",),
    "tcvis": TCVIS_BANDS,
}
"""Data source → its channels, in the order in which sources follow each other in the input."""


def is_run_folder(folder: Path) -> bool:
    """Whether a path is a run folder, complete or not: it has ``config.yml``, and ``checkpoints`` is a folder."""
    return is_file(folder / _CONFIG) and (folder / _EPOCHS).is_dir()


def run_of_epoch(path: Path) -> Path | None:
    """The run folder that a file of weights belongs to; None where it belongs to none."""
    folder = path.absolute().parent.parent
    return folder if path.absolute().parent.name == _EPOCHS and is_run_folder(folder) else None


def last_epoch(folder: Path) -> Path:
    """Find the weights of a run's last epoch.

    Args:
        folder: The run folder.

    Raises:
        CheckpointError: There are none.
    """
    epochs = {int(path.stem): path for path in (folder / _EPOCHS).glob("*.pt") if path.stem.isdecimal()}
    if not epochs:
        raise CheckpointError(
            f"expected weights like '{folder / _EPOCHS / '07.pt'}', one file for each epoch, but got none: copy the run again"
        )
    return epochs[max(epochs)]


def convert_run(
    folder: Path, weights_file: Path, weights: object, *, legacy_normalization: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make config and weights as in TILE_CONTRACT of a run.

    Args:
        folder: The run folder.
        weights_file: The file of the epoch.
        weights: What it holds.
        legacy_normalization: What the user says about the inputs; one of ``dn3000``, ``dn3000+tpi50``,
            ``dn3000+tpi300``.

    Returns:
        Config; weights without the prefix.

    Raises:
        CheckpointError: ``config.yml`` cannot be read, names unknown sources or counts other channels; the weights are none;
            or the user said nothing about the inputs, or something that no run was trained with.
    """
    config = _read_config(folder / _CONFIG)
    variables = _variables(config)
    if legacy_normalization is None:
        raise CheckpointError(
            f"expected to be told how the inputs of this {_SHAPE} were scaled, because it does not say, but got nothing: "
            f"{HOW_TO_STATE_IT}"
        )
    if split_legacy_normalization(legacy_normalization)[0] != "dn3000":
        raise CheckpointError(
            f"expected dn3000 with or without a relative elevation for a {_SHAPE}, but got {legacy_normalization!r}"
        )
    model = config["model"]
    return assembled_config(
        {
            "model": {
                "arch": model["architecture"],
                "encoder_name": model["encoder"],
                "encoder_weights": None,
                "in_channels": len(variables),
                "classes": 1,
            },
            "training": {"epoch": int(weights_file.stem) if weights_file.stem.isdecimal() else weights_file.stem},
        },
        scalings=legacy_scalings(legacy_normalization, variables, clip=False),
        shape=_SHAPE,
        stated={"data_sources": list(config["data_sources"])},
        legacy_normalization=legacy_normalization,
    ), _without_prefix(weights)


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        raise CheckpointError(
            f"expected '{path}' to be plain YAML, but it cannot be read ({' '.join(str(error).split())}): copy the run again"
        ) from error
    check_nesting(config)
    table: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
    model = table.get("model")
    if not isinstance(model, Mapping) or not {"architecture", "encoder"} <= set(model):
        raise CheckpointError(f"expected '{path}' to have model with architecture and encoder, but got {model!r}")
    unnamed = [key for key in ("architecture", "encoder") if not isinstance(model[key], str)]
    if unnamed:
        raise CheckpointError(
            f"expected {unnamed[0]} of the model in '{path}' to be a name, but got {model[unnamed[0]]!r}: correct it"
        )
    return table


def _variables(config: Mapping[str, Any]) -> list[str]:
    sources = config.get("data_sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(source, str) for source in sources):
        raise CheckpointError(f"expected config.yml to list data_sources, but got {sources!r}")
    unknown = [source for source in sources if source not in _CHANNELS]
    if unknown or len(set(sources)) != len(sources):
        raise CheckpointError(
            f"expected data_sources from {', '.join(_CHANNELS)}, each once, but got {sources}: other names belong to a later "
            "generation of runs, of which order and scaling of the channels are not known; write config and weights with "
            "darts_utils.inference.write_checkpoint"
        )
    variables = [channel for source in sorted(sources) for channel in _CHANNELS[source]]
    counted = config["model"].get("input_channels", len(variables))
    if counted != len(variables):
        raise CheckpointError(
            f"expected input_channels to be {len(variables)}, one for each of {', '.join(variables)}, but config.yml has {counted}"
        )
    return variables


def _without_prefix(weights: object) -> dict[str, Any]:
    if not isinstance(weights, Mapping):
        raise CheckpointError(
            f"expected the weights of an epoch to be a state_dict, but got {type(weights).__name__}: copy the run again"
        )
    return {str(name).removeprefix(_PREFIX): tensor for name, tensor in weights.items()}
