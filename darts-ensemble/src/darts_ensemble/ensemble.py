"""Many models, one probability."""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import xarray as xr

from darts_ensemble.answers import checked_answers, checked_probabilities
from darts_ensemble.averaging import RunningAverage
from darts_ensemble.membership import Membership, Missing, check_missing, members_for
from darts_ensemble.sources import Source, model_files
from darts_ensemble.weighting import check_member_names, checked_weights
from darts_utils.errors import ConfigError, DartsWarning
from darts_utils.grids import tile_id
from darts_utils.inference.checkpoint import naming_file, read_checkpoint
from darts_utils.inference.config import DEFAULT_INFERENCE, InferenceConfig
from darts_utils.models import TileModel, model_class
from darts_utils.tiles import variable

_VALID = "valid_data_mask"
"""What says where there must be a probability."""
_STD = "probabilities_std"
_MEMBER_PREFIX = "probabilities-"


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
            source: A model file, a folder of ``*.pt`` and ``*.safetensors``, a list of these, or a table from name to file.
                Without a table a model has the name of its file.
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
        """Names of the tile variables that any member needs, each once, and ``valid_data_mask``.

        With ``missing="skip"`` a tile may lack what some members need; see `usable_members`.
        """
        names = (each for model in self._members.values() for each in model.required_variables)
        return tuple(dict.fromkeys((*names, _VALID)))

    def inference(
        self,
        tile: xr.Dataset,
        /,
        *,
        options: InferenceConfig = DEFAULT_INFERENCE,
        keep_members: bool = False,
        keep_std: bool = False,
        missing: Missing = "raise",
    ) -> xr.Dataset:
        """Average what the members say about a tile.

        Args:
            tile: Preprocessed tile with the `required_variables`.
            options: Overlap, batch size, padding, blending, patch size; for every member.
            keep_members: Also keep what each member says.
            keep_std: Also keep how far the members disagree.
            missing: What becomes of a member that needs a variable which the tile lacks: ``"raise"`` is an error,
                ``"skip"`` leaves the member out for the whole tile. Those that are left keep their weights, so their
                shares grow in proportion.

        Returns:
            The tile plus
            ``probabilities``  (y, x) float32: Σ w·p / Σ w, NaN outside ``valid_data_mask``. Its attributes ``members`` and
            ``member_weights`` (whose sum is 1) say who was averaged, ``members_left_out`` who was not, and why;
            ``probabilities-<member>``  (y, x) float32: each member's own, if asked for;
            ``probabilities_std``  (y, x) float32: √(Σ w·(p − mean)² / Σ w), the spread of those that were averaged, if asked
            for; 0 where there is one alone.
            What members said before, in ``probabilities-<member>`` and ``probabilities_std``, is dropped: it would be taken
            for a part of this mean.

        Raises:
            MissingVariableError: The tile lacks a variable; names the member that needs it, before any work is done. With
                ``missing="skip"`` only where no member can run.
            ConfigError: The options do not fit a member; names it, before any work is done.
            ModelAnswerError: A member gives something else than probabilities in 0 … 1 at all valid pixels and NaN elsewhere:
                it would spoil the mean, so a single NaN too many is an error.

        Warns:
            DartsWarning: Members are left out.
        """
        return self.inference_batched(
            [tile], options=options, keep_members=keep_members, keep_std=keep_std, missing=missing
        )[0]

    def inference_batched(
        self,
        tiles: Sequence[xr.Dataset],
        /,
        *,
        options: InferenceConfig = DEFAULT_INFERENCE,
        keep_members: bool = False,
        keep_std: bool = False,
        missing: Missing = "raise",
    ) -> list[xr.Dataset]:
        """Do `inference` for many tiles; within a member the patches of all its tiles share the network's batches.

        Args:
            tiles: Tiles of any shape, grid and CRS; with none, the options are checked and nothing else.
            options: As for `inference`, for all tiles.
            keep_members: As for `inference`.
            keep_std: As for `inference`.
            missing: As for `inference`; with ``"skip"`` each tile may have members of its own.

        Returns:
            The tiles with what `inference` adds, in order.

        Notes:
            In memory are, for each tile, the mean in double precision (with `keep_std` its spread as well) and the answer of
            one member, whatever their number; the members' own answers stay only with `keep_members`.
        """
        check_missing(missing)
        self._check_options(options)
        memberships = [self._membership(tile, missing) for tile in tiles]
        for tile, membership in zip(tiles, memberships, strict=True):
            notice = membership.notice(tile, ensemble=self._name)
            if notice is not None:
                warnings.warn(DartsWarning(notice, tile_id=tile_id(tile)), stacklevel=2)
        averages = [RunningAverage(with_std=keep_std) for _ in tiles]
        added: list[dict[str, Any]] = [{} for _ in tiles]
        for member in self._members:
            chosen = [index for index, membership in enumerate(memberships) if member in membership.weights]
            answers = self._answers(member, [tiles[index] for index in chosen], options)
            for index, answer in zip(chosen, answers, strict=True):
                values = checked_probabilities(answer, tiles[index], model=self._called(member))
                averages[index].add(values, weight=memberships[index].relative_weights[member])
                if keep_members:
                    added[index][f"{_MEMBER_PREFIX}{member}"] = answer["probabilities"].variable.copy(data=values)
        return [
            tile.drop_vars(_said_before(tile)).assign(more | _combined(average, membership, keep_std=keep_std))
            for tile, more, average, membership in zip(tiles, added, averages, memberships, strict=True)
        ]

    def usable_members(self, variables: Collection[str], /) -> tuple[str, ...]:
        """Names of the members that need nothing but these variables, in order.

        Args:
            variables: Names of the variables that a tile has, or will have.
        """
        return tuple(name for name, model in self._members.items() if set(model.required_variables) <= set(variables))

    def _membership(self, tile: xr.Dataset, missing: Missing) -> Membership:
        needs = {member: (*model.required_variables, _VALID) for member, model in self._members.items()}
        needs = {member: tuple(dict.fromkeys(names)) for member, names in needs.items()}
        return members_for(tile, needs=needs, weights=self._weights, missing=missing, ensemble=self._name)

    def _answers(self, member: str, tiles: Sequence[xr.Dataset], options: InferenceConfig) -> Iterator[xr.Dataset]:
        """What a member says about tiles, each let go when the next is asked for."""
        if not tiles:
            return
        answers = checked_answers(
            self._members[member].inference_batched(tiles, options=options), tiles, model=self._called(member)
        )
        answers.reverse()
        while answers:
            yield answers.pop()

    def _called(self, member: str) -> str:
        return f"model {member!r} of ensemble {self._name!r}"

    def _check_options(self, options: InferenceConfig) -> None:
        for member, model in self._members.items():
            try:
                model.inference_batched([], options=options)  # looks at the options, and has nothing to do
            except ConfigError as error:
                raise ConfigError(f"member {member!r} of ensemble {self._name!r}: {error}") from error


def _said_before(tile: xr.Dataset) -> list[str]:
    return [str(name) for name in tile.data_vars if name == _STD or str(name).startswith(_MEMBER_PREFIX)]


def _combined(average: RunningAverage, membership: Membership, *, keep_std: bool) -> dict[str, Any]:
    record = {"source": membership.source, **membership.attrs}
    combined = {"probabilities": variable("probabilities", average.mean(), **record)}
    if keep_std:
        combined[_STD] = variable(_STD, average.std(), **record)
    return combined


def _load_member(path: Path, *, name: str, device: str) -> TileModel:
    checkpoint = read_checkpoint(path)
    make = model_class(checkpoint.framework)
    with naming_file(path):
        return make(checkpoint, name=name, device=device)
