"""How elevation and trends of the training were made, which decides what the inputs of a model mean.

A tile says it in its attributes, the store of the patches keeps it as traits, and the model's config has it in the end, under
the same keys as the traits; runs compare it with what they make:

=====================================  =============================================================================
``relative_elevation_radius_m``         radius of the surroundings in ``relative_elevation``
``relative_elevation_inner_radius_m``   inner radius of the same
``tcvis_rule``                          how the date of a scene chose the release of the trends, where it chose
=====================================  =============================================================================
"""

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import xarray as xr

from darts_utils.errors import DartsWarning, TrainingDataError
from darts_utils.inference.agreement import USUAL_SURROUNDINGS, trained_surroundings
from darts_utils.variables import TCVIS_BANDS, USUAL_TCVIS_RULE

TCVIS_RULE = "tcvis_rule"
"""Attribute of a tile, trait of a store, and key of a model's config."""

_ELEVATION = "relative_elevation"
_RADII = {"outer_radius_m": "relative_elevation_radius_m", "inner_radius_m": "relative_elevation_inner_radius_m"}
"""Attribute of the tile's relative elevation → key."""


def tile_traits(tile: xr.Dataset, names: Collection[str]) -> dict[str, str | float]:
    """Read what a tile says about how its variables were made.

    Args:
        tile: Preprocessed tile.
        names: Variables that patches are made of.

    Returns:
        The keys that the tile knows something about.
    """
    attrs = tile[_ELEVATION].attrs if _ELEVATION in names else {}
    radii = {key: float(attrs[name]) for name, key in _RADII.items() if name in attrs}
    return known_traits({**radii, TCVIS_RULE: tile.attrs.get(TCVIS_RULE)}, inputs=names)


def known_traits(said: Mapping[str, Any], *, inputs: Collection[str]) -> dict[str, str | float]:
    """Take what concerns the inputs of a model.

    Args:
        said: Traits of a store, or the config of a model.
        inputs: Names of the model's inputs.

    Examples:
        >>> said = {"relative_elevation_radius_m": 300.0, "tcvis_rule": "upstream"}
        >>> known_traits(said, inputs=("red", "relative_elevation"))
        {'relative_elevation_radius_m': 300.0}
    """
    of_elevation = (*_RADII.values(),) if _ELEVATION in inputs else ()
    of_trends = (TCVIS_RULE,) if {*TCVIS_BANDS} & {*inputs} else ()
    return {key: said[key] for key in (*of_elevation, *of_trends) if said.get(key) is not None}


def check_traits(traits: Mapping[str, Any], *, config: Mapping[str, Any], consumer: str) -> None:
    """Raise if patches were made in another way than those that a model was trained on.

    Args:
        traits: Of the patches.
        config: The model's ``config``.
        consumer: The model, for messages.

    Raises:
        TrainingDataError: ``relative_elevation`` is relative to other surroundings.
        CheckpointError: The radii of the model make no sense.

    Warns:
        DartsWarning: The releases of the trends were chosen by another rule; or one of the two does not say how it was made,
            and the other says something unusual.
    """
    _check_elevation(traits, config, consumer)
    _check_trends(traits, config, consumer)


def _check_elevation(traits: Mapping[str, Any], config: Mapping[str, Any], consumer: str) -> None:
    inputs = config["input_combination"]
    trained, made = (trained_surroundings({**said, "input_combination": inputs}) for said in (config, traits))
    if trained is not None and made is not None:
        if not trained.matches(made):
            raise TrainingDataError(
                f"expected patches with an elevation relative to the mean {trained}, as {consumer} was trained with, but that of "
                f"the data is relative to the mean {made}: prepare them with --tpi-outer-radius-m {trained.outer_m:g} "
                f"--tpi-inner-radius-m {trained.inner_m:g}, or choose another model"
            )
        return
    known = trained or made
    if known is not None and not known.matches(USUAL_SURROUNDINGS):
        speaks, silent = (consumer, "the data") if made is None else ("the data", consumer)
        _warn(
            f"{_ELEVATION} of {speaks} is relative to the mean {known}, and what that of {silent} is relative to is not said: "
            "see that it is the same"
        )


def _check_trends(traits: Mapping[str, Any], config: Mapping[str, Any], consumer: str) -> None:
    inputs = config["input_combination"]
    trained, made = (known_traits(said, inputs=inputs).get(TCVIS_RULE) for said in (config, traits))
    if trained is not None and made is not None:
        if trained != made:
            _warn(
                f"trends of the data were chosen by the rule {made}, those that {consumer} was trained with by {trained}: see "
                "that this is meant"
            )
        return
    known = trained or made
    if known not in (None, USUAL_TCVIS_RULE):
        speaks, silent = (consumer, "the data") if made is None else ("the data", consumer)
        _warn(
            f"trends of {speaks} were chosen by the rule {known}, and how those of {silent} were chosen is not said: see that "
            "it is the same"
        )


def _warn(notice: str) -> None:
    warnings.warn(notice, DartsWarning, stacklevel=5)
