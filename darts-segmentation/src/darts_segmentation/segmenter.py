"""The model class of the framework ``smp``."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import torch
import xarray as xr

from darts_segmentation.networks import build_network, check_channels, network_stride_px
from darts_utils.device import array_namespace
from darts_utils.errors import CheckpointError, ConfigError
from darts_utils.inference.agreement import check_agreement, trained_surroundings
from darts_utils.inference.augmentation import check_symmetries
from darts_utils.inference.checkpoint import Checkpoint, naming_file, read_checkpoint
from darts_utils.inference.config import DEFAULT_INFERENCE, InferenceConfig, Precision
from darts_utils.inference.devices import resolve_device
from darts_utils.inference.drift import check_drift, usual_limits
from darts_utils.inference.engine import check_network, predict_probabilities
from darts_utils.inference.normalization import parse_normalization
from darts_utils.inference.precision import resolve_precision
from darts_utils.inference.requirements import require_model_inputs
from darts_utils.inference.rewriting import rewrite_for_inference
from darts_utils.inference.temperature import Tempered, applied_temperature
from darts_utils.inference.weights import load_weights
from darts_utils.tiles import variable

FRAMEWORK = "smp"
"""``config["model_framework"]`` of the checkpoints that this class loads."""


class Segmenter:
    """A semantic segmentation network: loaded once, applied to many tiles.

    Args:
        checkpoint: Config and weights.
        name: Name of the model, as in ``probabilities-<name>``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Raises:
        CheckpointError: The checkpoint is of another framework, or network, weights, normalisation and patch size do
            not fit together; the network is tried with one patch.
        DeviceError: A named device is not there.

    Notes:
        Once loaded, batch normalisation is folded into the convolutions before it where that changes no probability by more than
        1e-5, see `darts_utils.inference.rewriting`. Where ``config["calibration"]`` says so, logits are divided by its
        temperature, see `darts_utils.inference.temperature`.
        A checkpoint of darts_nextgen, or one of your own: see `darts_utils.inference.checkpoint` for the format.
    """

    def __init__(self, checkpoint: Checkpoint, *, name: str, device: str = "auto") -> None:
        if checkpoint.framework != FRAMEWORK:
            raise CheckpointError(
                f"expected a checkpoint of the framework {FRAMEWORK!r}, but got {checkpoint.framework!r}: "
                "load it with darts_ensemble.Ensemble, which finds the class for each framework"
            )
        self._name = name
        self._config = checkpoint.config
        self._patch_px = checkpoint.patch_px
        self._normalization = parse_normalization(checkpoint.config, variables=checkpoint.input_combination)
        trained_surroundings(checkpoint.config)  # nonsense shows now
        self._usual_limits = usual_limits(checkpoint.config)
        temperature = applied_temperature(checkpoint.config)
        self._device = resolve_device(device)
        check_channels(checkpoint.config["model"], inputs=checkpoint.input_combination)  # before it takes memory
        network = build_network(checkpoint.config["model"])
        load_weights(network, checkpoint.statedict)
        self._stride_px = network_stride_px(network)
        if self._patch_px % self._stride_px:
            raise CheckpointError(
                f"expected patch_size to be divisible by the network's stride of {self._stride_px} px, but got {self._patch_px}"
            )
        network.eval()
        channels = len(checkpoint.input_combination)
        check_network(network, channels=channels, patch_px=self._patch_px, device=torch.device("cpu"))
        self._tried = {(self._patch_px, torch.float32)}
        network = rewrite_for_inference(network, channels=channels, patch_px=self._patch_px)
        self._network = (network if temperature is None else Tempered(network, temperature)).to(self._device)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "auto", name: str | None = None) -> Self:
        """Read a model file.

        Args:
            path: ``.pt`` or ``.safetensors``, see `darts_utils.inference.checkpoint`.
            device: ``"auto"`` takes a CUDA device where there is one; a named device is used or refused.
            name: Name of the model; None takes the file's name without its suffix.

        Returns:
            The model, ready for inference.

        Raises:
            CheckpointError: The file is absent, damaged, unsafe or does not fit together; the message says what and where.
            DeviceError: A named device is not there.
        """
        checkpoint = read_checkpoint(path)
        with naming_file(path):
            return cls(checkpoint, name=Path(path).stem if name is None else name, device=device)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._name

    @property
    def config(self) -> Mapping[str, Any]:
        """The checkpoint's ``config``."""
        return self._config

    @property
    def required_variables(self) -> tuple[str, ...]:
        """The input variables in channel order, and ``valid_data_mask``."""
        return tuple(dict.fromkeys((*self._normalization.variables, "valid_data_mask")))

    def inference(self, tile: xr.Dataset, *, options: InferenceConfig = DEFAULT_INFERENCE) -> xr.Dataset:
        """Find the probability of a thaw slump in every valid pixel.

        Args:
            tile: Preprocessed tile with the `required_variables`.
            options: Overlap, batch size, padding, blending, patch size, precision, symmetries.

        Returns:
            The tile plus ``probabilities``  (y, x) float32: 0 … 1, NaN outside ``valid_data_mask``; where the mask's
            array lives. The input is untouched.

        Raises:
            MissingVariableError: The tile lacks a variable; says which, and which input of preprocessing it comes from.
            TileContractError: `tile` is no tile; its bands hold something else than reflectance × 10 000; or its
                ``relative_elevation`` is relative to other surroundings than the model's was.
            ConfigError: The network cannot work on patches of ``options.patch_px`` or in ``options.precision``, or
                ``options.overlap_px`` is not smaller than the patch, or ``options.symmetries`` is set though an input has a
                direction (``aspect``, ``hillshade``); before any work is done.

        Warns:
            DartsWarning: It cannot be told whether ``relative_elevation`` is relative to the same surroundings, see
                `darts_utils.inference.agreement`; or values of an input lie far from those of the training, see
                `darts_utils.inference.drift`.
        """
        return self.inference_batched([tile], options=options)[0]

    def inference_batched(
        self, tiles: Sequence[xr.Dataset], *, options: InferenceConfig = DEFAULT_INFERENCE
    ) -> list[xr.Dataset]:
        """Do `inference` for many tiles; the patches of all of them share the network's batches.

        Args:
            tiles: Tiles of any shape, grid and CRS; with none, the options are checked and nothing else.
            options: As for `inference`, for all tiles.

        Returns:
            The tiles plus ``probabilities``, in order; the same as one by one.
        """
        patch_px = self._checked_patch_px(options)
        for tile in tiles:
            require_model_inputs(tile, self.required_variables, consumer=f"model {self._name!r}")
            check_agreement(tile, config=self._config, consumer=f"model {self._name!r}")
            check_drift(
                tile,
                limits=self._usual_limits,
                variables=self._normalization.variables,
                consumer=f"model {self._name!r}",
            )
        predictions = predict_probabilities(
            self._compiled if options.compile_network else self._network,
            tiles,
            normalization=self._normalization,
            patch_px=patch_px,
            options=options,
            device=self._device,
        )
        source = f"segmentation model {self._name!r}"
        return [
            tile.assign(
                probabilities=variable(
                    "probabilities", array_namespace(tile["valid_data_mask"].data).asarray(prediction), source=source
                )
            )
            for tile, prediction in zip(tiles, predictions, strict=True)
        ]

    def _checked_patch_px(self, options: InferenceConfig) -> int:
        patch_px = self._patch_px if options.patch_px is None else options.patch_px
        if patch_px % self._stride_px:
            raise ConfigError(
                f"expected patch_px to be divisible by {self._stride_px}, the stride of model {self._name!r}, "
                f"but got {patch_px}"
            )
        try:
            options.overlap_for(patch_px)
            if options.symmetries:
                check_symmetries(self._normalization.variables)
            self._try_patch(patch_px, options.precision)
        except (CheckpointError, ConfigError) as error:
            raise ConfigError(f"options do not fit model {self._name!r}: {error}") from error
        return patch_px

    def _try_patch(self, patch_px: int, precision: Precision | None) -> None:
        trial = (patch_px, resolve_precision(precision, device=self._device))
        if trial not in self._tried:
            check_network(
                self._network,
                channels=len(self._normalization.variables),
                patch_px=patch_px,
                device=self._device,
                precision=precision,
            )
            self._tried.add(trial)

    @cached_property
    def _compiled(self) -> torch.nn.Module:
        compiled: Any = torch.compile(self._network, dynamic=False)
        return cast("torch.nn.Module", compiled)
