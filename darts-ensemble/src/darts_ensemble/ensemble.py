"""Many models, one probability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import xarray as xr

from darts_ensemble.averaging import RunningAverage
from darts_ensemble.sources import Source, model_files
from darts_ensemble.weighting import check_member_names, checked_weights, relative_weights
from darts_utils.errors import ConfigError
from darts_utils.inference.checkpoint import naming_file, read_checkpoint
from darts_utils.inference.config import DEFAULT_INFERENCE, InferenceConfig
from darts_utils.inference.requirements import require_model_inputs
from darts_utils.models import TileModel, model_class
from darts_utils.tiles import variable


class Ensemble:
    """Models whose probabilities are averaged; itself a `darts_utils.models.TileModel`.

    Args:
        members: Name → model, in order. A name is used as in ``probabilities-<name>``.
        weights: Name → weight above 0, for each member; None weighs all the same.
        name: Name of the ensemble.

    Raises:
        ConfigError: There is no member, a name cannot be used, or the weights do not match the members.
    """

    def __init__(
        self, members: Mapping[str, TileModel], *, weights: Mapping[str, float] | None = None, name: str = "ensemble"
    ) -> None:
        check_member_names(members)
        self._members = MappingProxyType(dict(members))
        self._weights = checked_weights(weights, members)
        self._name = name

    @classmethod
    def load(
        cls,
        source: Source,
        /,
        *,
        device: str = "auto",
        name: str | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Self:
        """Read the members, each with the class of its framework.

        Args:
            source: A model file, a folder of ``*.pt``, a list of these, or a table from name to file. Without a table a
                model has the name of its file.
            device: ``"auto"`` may fall back to the CPU, a named device never does.
            name: Name of the ensemble; None is ``"ensemble"``.
            weights: Name → weight above 0, for each member; None weighs all the same.

        Returns:
            The ensemble, ready for inference.

        Raises:
            CheckpointError: A model file or a folder is absent or cannot be used.
            UnknownFrameworkError: No installed package provides a member's framework.
            ConfigError: Names or weights do not fit.
            DeviceError: A named device is not there.
        """
        files = model_files(source)
        check_member_names(files)  # before networks are loaded
        checked_weights(weights, files)
        members = {member: _load_member(path, name=member, device=device) for member, path in files.items()}
        return cls(members, weights=weights, name="ensemble" if name is None else name)

    @property
    def name(self) -> str:
        """Name of the ensemble."""
        return self._name

    @property
    def members(self) -> Mapping[str, TileModel]:
        """Name → model, in order; read-only."""
        return self._members

    @property
    def weights(self) -> Mapping[str, float]:
        """Name → weight of the member, as given."""
        return MappingProxyType(self._weights)

    @property
    def required_variables(self) -> tuple[str, ...]:
        """Names of the tile variables that any member needs, each once."""
        return tuple(dict.fromkeys(each for model in self._members.values() for each in model.required_variables))

    def inference(
        self,
        tile: xr.Dataset,
        /,
        *,
        options: InferenceConfig = DEFAULT_INFERENCE,
        keep_members: bool = False,
        keep_std: bool = False,
    ) -> xr.Dataset:
        """Average what the members say about a tile.

        Args:
            tile: Preprocessed tile with the `required_variables`.
            options: Overlap, batch size, padding, blending, patch size; for every member.
            keep_members: Also keep what each member says.
            keep_std: Also keep how far the members disagree.

        Returns:
            The tile plus
            ``probabilities``  (y, x) float32: weighted mean, NaN outside ``valid_data_mask``;
            ``probabilities-<member>``  (y, x) float32: each member's own, if asked for;
            ``probabilities_std``  (y, x) float32: weighted standard deviation over the members, if asked for.

        Raises:
            MissingVariableError: The tile lacks a variable; names the member that needs it, before any work is done.
            ConfigError: The options do not fit a member; names it, before any work is done.
        """
        return self.inference_batched([tile], options=options, keep_members=keep_members, keep_std=keep_std)[0]

    def inference_batched(
        self,
        tiles: Sequence[xr.Dataset],
        /,
        *,
        options: InferenceConfig = DEFAULT_INFERENCE,
        keep_members: bool = False,
        keep_std: bool = False,
    ) -> list[xr.Dataset]:
        """Do `inference` for many tiles; within a member the patches of all tiles share the network's batches.

        Args:
            tiles: Tiles of any shape, grid and CRS; with none, the options are checked and nothing else.
            options: As for `inference`, for all tiles.
            keep_members: As for `inference`.
            keep_std: As for `inference`.

        Returns:
            The tiles with what `inference` adds, in order.
        """
        self._check_options(options)
        for tile in tiles:
            for member, model in self._members.items():
                require_model_inputs(
                    tile, model.required_variables, consumer=f"model {member!r} of ensemble {self._name!r}"
                )
        relative = relative_weights(self._weights)
        averages = [RunningAverage(with_std=keep_std) for _ in tiles]
        added: list[dict[str, Any]] = [{} for _ in tiles]
        for member, model in self._members.items():
            for average, more, answer in zip(
                averages, added, model.inference_batched(tiles, options=options), strict=True
            ):
                average.add(answer["probabilities"].data, weight=relative[member])
                if keep_members:
                    more[f"probabilities-{member}"] = answer["probabilities"].variable
        for average, more in zip(averages, added, strict=True):
            more["probabilities"] = variable("probabilities", average.mean(), source=self._source())
            if keep_std:
                more["probabilities_std"] = variable("probabilities_std", average.std(), source=self._source())
        return [tile.assign(more) for tile, more in zip(tiles, added, strict=True)]

    def _check_options(self, options: InferenceConfig) -> None:
        for member, model in self._members.items():
            try:
                model.inference_batched([], options=options)  # looks at the options, and has nothing to do
            except ConfigError as error:
                raise ConfigError(f"member {member!r} of ensemble {self._name!r}: {error}") from error

    def _source(self) -> str:
        if len(set(self._weights.values())) == 1:
            return f"mean of {', '.join(self._members)}"
        return f"weighted mean of {', '.join(f'{member} ({weight:g})' for member, weight in self._weights.items())}"


def _load_member(path: Path, *, name: str, device: str) -> TileModel:
    checkpoint = read_checkpoint(path)
    make = model_class(checkpoint.framework)
    with naming_file(path):
        return make(checkpoint, name=name, device=device)
