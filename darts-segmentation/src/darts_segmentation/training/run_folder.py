"""The folder of a training: what a resume needs to know, and that it is the same training which goes on.

=====================  ==================================================================================
``run.json``           data, their fingerprint, the plan; written before the first step
``config.toml``        the configuration, to be used again
``checkpoints/``       ``best.pt``: weights of the best epoch; ``last.ckpt``: all that the next epoch needs; ``start.pt``: the
                       model that training began with, if any
``epochs.csv``         scores after each epoch
``tensorboard/``       the same, and more, for TensorBoard
``pictures/``          what the network says of some validation patches
``<name>.pt``          the model; with ``<name>.md``, its card, and ``scores.json``, ``scores.csv``, ``reliability.csv``
=====================  ==================================================================================

The model is the only model file right in the folder, so the folder can be named where models are: all in it take part there.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from darts_segmentation.training.config import TrainingConfig, parse_training_config
from darts_segmentation.training.plan import TrainingPlan, decode_split, encode_split
from darts_train_utils.provenance import data_fingerprint
from darts_utils.config_tables import plain_table
from darts_utils.errors import OutputError, TrainingDataError, TrainingError
from darts_utils.files import atomic_path
from darts_utils.inference.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from darts_utils.inference.normalization import Normalization, Scaling

RECORD = "run.json"
"""Where it is, a training has been planned."""

CONFIG = "config.toml"
CHECKPOINTS = "checkpoints"
START = f"{CHECKPOINTS}/start.pt"

_FORMAT = 2


@dataclass(frozen=True)
class Run:
    """A training that has been planned."""

    folder: Path
    """Where everything of it is."""
    data: Path
    """The patches."""
    fingerprint: str
    """Of the patches."""
    plan: TrainingPlan
    """What it does."""

    @property
    def start(self) -> Checkpoint | None:
        """The model that it begins with."""
        path = self.folder / START
        return read_checkpoint(path) if path.is_file() else None

    @property
    def model(self) -> Path:
        """Where its model will be."""
        return self.folder / f"{self.plan.config.name}.pt"


def require_new(folder: Path) -> None:
    """Raise if a folder already holds a training.

    Args:
        folder: It may be absent.

    Raises:
        OutputError: It does.
    """
    if (folder / RECORD).exists():
        raise OutputError(
            f"expected a folder without a training, but '{folder}' holds one: resume it, or choose another folder"
        )


def write_run(run: Run, *, patches: int, start: Checkpoint | None) -> None:
    """Write down what a training will do.

    Args:
        run: The training.
        patches: Number of all patches of its data.
        start: The model that it begins with.

    Raises:
        OutputError: The files cannot be written.
    """
    if start is not None:
        write_checkpoint(run.folder / START, start)
    plan = run.plan
    table = plain_table(plan.config)
    record = {
        "format": _FORMAT,
        "data": str(run.data.resolve()),
        "fingerprint": run.fingerprint,
        "config": table,
        "network": dict(plan.network),
        "inputs": list(plan.normalization.variables),
        "normalization": plan.normalization.to_config(),
        "patch_px": plan.patch_px,
        "split": encode_split(plan.split, patches),
        "quantiles": dict(plan.quantiles),
        "traits": dict(plan.traits),
        "starts_from_model": start is not None,
    }
    with atomic_path(run.folder / CONFIG) as path:
        path.write_text(tomli_w.dumps(table), encoding="utf-8")
    write_json(run.folder / RECORD, record)


def read_run(folder: Path, *, data: Path | None = None, fingerprint: str | None = None) -> Run:
    """Read what a training was to do.

    Args:
        folder: Of the training.
        data: Where the patches are now; None: where they were.
        fingerprint: Of these patches; None: is computed.

    Raises:
        TrainingError: There is no training, it is of another version, or a file is missing.
        TrainingDataError: The patches are not those that it began with.
    """
    path = folder / RECORD
    if not path.is_file():
        raise TrainingError(
            f"expected a training in '{folder}', but there is no {RECORD}: start one, or check the path"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        known = record["format"] == _FORMAT
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"expected '{path}' to be the record of a training, but it is damaged: start anew"
        ) from error
    if not known:
        raise TrainingError(f"expected '{path}' to be of format {_FORMAT}, but got {record['format']!r}: start anew")
    if record["starts_from_model"] and not (folder / START).is_file():
        raise TrainingError(
            f"expected the model that the training began with, but '{folder / START}' is gone: start anew"
        )
    place = Path(record["data"]) if data is None else data
    if fingerprint is None:
        fingerprint = data_fingerprint(place)
    if fingerprint != record["fingerprint"]:
        raise TrainingDataError(
            f"expected the data that the training in '{folder}' began with, but those in '{place}' are others: name the same "
            "data, or start a new training"
        )
    return Run(folder, place, fingerprint, _plan(record, parse_training_config(record["config"])))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file; it has its name when it is complete.

    Args:
        path: The file.
        content: Plain data; NaN is written as null.
    """
    with atomic_path(path) as temporary:
        text = json.dumps(without_nan(content), indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def without_nan(content: Any) -> Any:
    """Return plain data with None instead of NaN."""
    if isinstance(content, Mapping):
        return {name: without_nan(entry) for name, entry in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(entry) for entry in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def _plan(record: Mapping[str, Any], config: TrainingConfig) -> TrainingPlan:
    scalings = {name: Scaling(**record["normalization"][name]) for name in record["inputs"]}
    return TrainingPlan(
        config=config,
        network=record["network"],
        normalization=Normalization(scalings),
        patch_px=record["patch_px"],
        split=decode_split(record["split"]),
        quantiles=record["quantiles"],
        traits=record["traits"],
    )
