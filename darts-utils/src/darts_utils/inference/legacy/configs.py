"""Configs of older shapes: ``norm_factors`` and ``bands`` become ``input_combination`` and ``normalization``.

==============================================  =============================================================
``norm_factors`` {name: factor}                 network input = stored · factor, clipped to 0 … 1
``bands`` {"bands", "factors", "offsets"}       network input = stored · factor + offset, clipped to 0 … 1
``bands`` [name, …]                             says nothing about scaling: the user must
no normalisation at all                         the same
==============================================  =============================================================

"Stored" is explained in `darts_utils.inference.legacy.scalings`. Imports no torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from darts_utils.errors import CheckpointError
from darts_utils.inference.legacy.scalings import (
    ELEVATION_RADIUS_M,
    HOW_TO_STATE_IT,
    is_stored_elevation,
    legacy_scalings,
    split_legacy_normalization,
    stated_scaling,
)
from darts_utils.inference.normalization import Normalization, Scaling
from darts_utils.variables import OPTICAL_BANDS

FRAMEWORK = "smp"
"""What all older models were built with."""

PATCH_PX = 1024
"""Patch size of both older projects, where a file does not say."""

_PARALLEL_KEYS = ("band_factors", "band_offsets")
"""Beside ``bands`` in configs that were written flat."""

_AGREEMENT = 1e-3
"""Relative difference up to which two scalings are the same one, written with fewer digits."""

_MOVED = ("norm_factors", "bands", *_PARALLEL_KEYS)


def is_contract_config(config: Mapping[str, Any]) -> bool:
    """Whether a config states its normalisation as the tile contract asks."""
    return config.get("normalization") is not None


def config_shape(config: Mapping[str, Any]) -> str:
    """Name of a config's shape, as it stands in ``config["converted_from"]``."""
    if config.get("norm_factors") is not None:
        return "norm_factors"
    bands = config.get("bands")
    if bands is None:
        return "no normalization"
    return "bands with factors" if isinstance(bands, Mapping) or _has_parallel_lists(config) else "bands by name"


def convert_config(config: Mapping[str, Any], *, legacy_normalization: str | None) -> dict[str, Any]:
    """Complete the config of an older model file.

    Args:
        config: Of any shape of the table above.
        legacy_normalization: What the user says about the scaling, where the config does not.

    Returns:
        A new config as in TILE_CONTRACT, with ``converted_from``: the shape and the numbers that it stated.

    Raises:
        CheckpointError: Inputs or scaling are not stated, stated twice in different ways, or malformed.
    """
    variables = _variables(config)
    shape = config_shape(config)
    stated = _stated(config, variables)
    scalings: dict[str, Scaling]
    if stated is None:
        scalings = _unstated(shape, variables, legacy_normalization)
    else:
        elevation = _named_elevation(stated, legacy_normalization)
        scalings = {
            name: stated_scaling(name, factor, offset, elevation=elevation) for name, (factor, offset) in stated.items()
        }
        _check_agreement(scalings, legacy_normalization)
    return assembled_config(
        {key: value for key, value in config.items() if key not in _MOVED},
        scalings=scalings,
        shape=shape,
        stated={key: config[key] for key in _MOVED if key in config},
        legacy_normalization=legacy_normalization,
    )


def assembled_config(
    config: Mapping[str, Any],
    *,
    scalings: Mapping[str, Scaling],
    shape: str,
    stated: Mapping[str, Any],
    legacy_normalization: str | None,
) -> dict[str, Any]:
    """Put together what all conversions have in common.

    Args:
        config: What is kept as it is.
        scalings: Name → scaling, in channel order.
        shape: Name of the shape that was converted.
        stated: What it said about inputs and scaling.
        legacy_normalization: What the user said.
    """
    converted: dict[str, Any] = {"model_framework": FRAMEWORK, "patch_size": PATCH_PX, **config}
    converted["input_combination"] = list(scalings)
    converted["normalization"] = Normalization(scalings).to_config()
    converted["converted_from"] = {"shape": shape, "legacy_normalization": legacy_normalization, "stated": dict(stated)}
    if legacy_normalization is not None and "relative_elevation" in scalings:
        elevation = split_legacy_normalization(legacy_normalization)[1]
        if elevation in ELEVATION_RADIUS_M:
            converted["relative_elevation_radius_m"] = ELEVATION_RADIUS_M[str(elevation)]
    return converted


def _variables(config: Mapping[str, Any]) -> list[str]:
    inputs, bands = config.get("input_combination"), config.get("bands")
    named = bands.get("bands") if isinstance(bands, Mapping) else bands
    for key, value in (("input_combination", inputs), ("bands", named)):
        if value is not None and not _is_names(value):
            raise CheckpointError(f"expected {key} to list names of variables in order, but got {value!r}")
    names = named if inputs is None else inputs
    if names is None:
        raise CheckpointError(
            "expected config to have input_combination, the names of the input variables in channel order, but it has "
            f"{', '.join(map(str, config)) or 'nothing'}: add it"
        )
    if inputs is not None and named is not None and list(inputs) != list(named):
        raise CheckpointError(
            f"expected input_combination and bands to name the same variables in the same order, but got {list(inputs)} and "
            f"{list(named)}: remove the one that is wrong"
        )
    variables = list(names)
    if len(set(variables)) != len(variables):
        raise CheckpointError(f"expected each input variable once, but got {variables}")
    return variables


def _stated(config: Mapping[str, Any], variables: Sequence[str]) -> dict[str, tuple[Any, Any]] | None:
    """Name → factor and offset; None where the config states none."""
    table, bands = config.get("norm_factors"), config.get("bands")
    if table is not None:
        if not isinstance(table, Mapping):
            raise CheckpointError(f"expected norm_factors to be a table from name to factor, but got {table!r}")
        absent = [name for name in variables if name not in table]
        if absent:
            raise CheckpointError(
                f"expected norm_factors to have every input variable, but {', '.join(absent)} missing"
            )
        return {name: (table[name], 0.0) for name in variables}
    if isinstance(bands, Mapping):
        factors, offsets = (bands.get(key, bands.get(f"band_{key}")) for key in ("factors", "offsets"))
    elif _has_parallel_lists(config):
        factors, offsets = (config.get(key) for key in _PARALLEL_KEYS)
    else:
        return None
    if not all(isinstance(each, list | tuple) and len(each) == len(variables) for each in (factors, offsets)):
        raise CheckpointError(
            f"expected bands to have one factor and one offset for each of {', '.join(variables)}, but got factors "
            f"{factors!r} and offsets {offsets!r}"
        )
    return {name: pair for name, *pair in zip(variables, factors, offsets, strict=True)}  # type: ignore[misc]


def _unstated(shape: str, variables: Sequence[str], legacy_normalization: str | None) -> dict[str, Scaling]:
    if legacy_normalization is None:
        raise CheckpointError(
            f"expected a normalization of {', '.join(variables)}, but got none ({shape}), and two generations of models exist "
            f"whose inputs differ: {HOW_TO_STATE_IT}; or state config['normalization'] by hand"
        )
    return legacy_scalings(legacy_normalization, variables, clip=True)


def _named_elevation(stated: Mapping[str, tuple[Any, Any]], legacy_normalization: str | None) -> str | None:
    """The part of the user's word that is needed; none may be given that is not."""
    open_questions = [name for name, (factor, _) in stated.items() if is_stored_elevation(name, factor)]
    if legacy_normalization is None:
        return None
    elevation = split_legacy_normalization(legacy_normalization)[1]
    if not open_questions:
        raise CheckpointError(
            f"expected no legacy_normalization, because the file states how its inputs are scaled, but got "
            f"{legacy_normalization!r}: leave it out"
        )
    return elevation


def _check_agreement(scalings: Mapping[str, Scaling], legacy_normalization: str | None) -> None:
    """What the user says of the bands must be what the file says."""
    if legacy_normalization is None:
        return
    bands = [name for name in scalings if name in OPTICAL_BANDS]
    for name, said in legacy_scalings(legacy_normalization, bands, clip=True).items():
        stated = scalings[name]
        for value, named in ((stated.scale, said.scale), (stated.offset, said.offset)):
            if abs(value - named) > _AGREEMENT * max(abs(value), abs(named)):
                raise CheckpointError(
                    f"expected {legacy_normalization!r} to agree with the file, but for {name} the file states "
                    f"(x - {stated.offset:g}) * {stated.scale:g} in tile units: choose another one"
                )


def _has_parallel_lists(config: Mapping[str, Any]) -> bool:
    return any(config.get(key) is not None for key in _PARALLEL_KEYS)


def _is_names(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(name, str) for name in value)
