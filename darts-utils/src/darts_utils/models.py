"""What every model is: the `TileModel` protocol, and how a checkpoint's framework finds its class.

Packages announce their model classes in the entry-point group ``darts.models``, keyed by the name that checkpoints
carry in ``config["model_framework"]``. A new framework plugs in by installing its package.
"""

import importlib.metadata
import os
from collections.abc import Sequence
from typing import Any, Protocol, Self, runtime_checkable

import xarray as xr

from darts_utils.errors import UnknownFrameworkError
from darts_utils.inference.config import DEFAULT_INFERENCE, InferenceConfig

MODEL_GROUP = "darts.models"
"""Entry-point group of model classes."""


@runtime_checkable
class TileModel(Protocol):
    """A trained model: loaded once, applied to many tiles, never writing files."""

    @property
    def name(self) -> str:
        """Name of the model, used in ``probabilities-<name>``."""
        ...

    @property
    def required_variables(self) -> tuple[str, ...]:
        """Names of the tile variables that inference needs, masks included."""
        ...

    @classmethod
    def load(cls, path: str | os.PathLike[str], /, *, device: str = "auto", name: str | None = None) -> Self:
        """Read a checkpoint.

        Args:
            path: The model file.
            device: ``"auto"`` may fall back to the CPU, a named device never does.
            name: Name of the model; None takes the file's name without its suffix.
        """
        ...

    def inference(self, tile: xr.Dataset, /, *, options: InferenceConfig = DEFAULT_INFERENCE) -> xr.Dataset:
        """Return the tile plus ``probabilities``."""
        ...

    def inference_batched(
        self, tiles: Sequence[xr.Dataset], /, *, options: InferenceConfig = DEFAULT_INFERENCE
    ) -> list[xr.Dataset]:
        """Return the tiles plus ``probabilities``; patches of all tiles share the network's batches.

        With no tiles at all the options are checked, and nothing else is done.

        Raises:
            ConfigError: The options do not fit the model; before any work is done.
        """
        ...


class ModelClass(Protocol):
    """What an entry point of ``darts.models`` leads to: a class that makes a `TileModel` of a checkpoint in memory."""

    def __call__(self, checkpoint: Any, /, *, name: str, device: str = "auto") -> TileModel:
        """Make the model.

        Args:
            checkpoint: A `darts_utils.inference.Checkpoint`, whose type would import torch; of the framework that the
                entry point is named after.
            name: Name of the model.
            device: ``"auto"`` may fall back to the CPU, a named device never does.

        Raises:
            CheckpointError: The parts of the checkpoint do not fit together.
            DeviceError: A named device is not there.
        """
        ...


def model_frameworks() -> dict[str, importlib.metadata.EntryPoint]:
    """Installed frameworks: ``config["model_framework"]`` → entry point of the class."""
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=MODEL_GROUP)}


def model_class(framework: str) -> ModelClass:
    """Find the class that makes models of a framework.

    Args:
        framework: ``config["model_framework"]`` of a checkpoint, e.g. ``"smp"``.

    Returns:
        A class whose instances keep the `TileModel` protocol.

    Raises:
        UnknownFrameworkError: No installed package provides the framework, or the package that does cannot be imported or
            has no such class.
    """
    frameworks = model_frameworks()
    if framework not in frameworks:
        known = ", ".join(sorted(frameworks)) or "none"
        raise UnknownFrameworkError(
            f"model framework {framework!r} is not installed (installed: {known}): install the darts package that provides it"
        )
    entry = frameworks[framework]
    try:
        loaded: ModelClass = entry.load()
    except (ImportError, AttributeError) as error:
        raise UnknownFrameworkError(
            f"model framework {framework!r} is provided by {entry.value!r}, which cannot be imported ({error}): reinstall that package"
        ) from error
    return loaded
