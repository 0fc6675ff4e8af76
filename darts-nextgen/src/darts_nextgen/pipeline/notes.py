"""What the pipeline notes on a tile for itself, from loading on: it never gets into a file."""

import json
from collections.abc import Mapping
from dataclasses import asdict

import xarray as xr

from darts_export.fingerprints import Fingerprint

_INPUTS = "darts_inputs"
"""Attribute with the fingerprints of the tile's inputs, as JSON."""

_NOTES = (_INPUTS,)


def with_inputs(tile: xr.Dataset, inputs: Mapping[str, tuple[Fingerprint, ...]]) -> xr.Dataset:
    """Note what the inputs of a tile were before they were read.

    Args:
        tile: Untouched.
        inputs: Role of the files → their fingerprints.
    """
    noted = {role: [asdict(file) for file in files] for role, files in inputs.items()}
    return tile.assign_attrs({_INPUTS: json.dumps(noted)})


def inputs_of(tile: xr.Dataset) -> dict[str, tuple[Fingerprint, ...]]:
    """Return what `with_inputs` noted.

    Raises:
        KeyError: Nothing was noted.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> file = Fingerprint("red.tif", 10, 1, 1, None)
        >>> tile = with_inputs(example_tile(["red"]), {"scene": (file,)})
        >>> inputs_of(tile) == {"scene": (file,)}
        True
        >>> without_notes(tile).attrs == example_tile(["red"]).attrs
        True
    """
    noted = json.loads(tile.attrs[_INPUTS])
    return {role: tuple(Fingerprint(**file) for file in files) for role, files in noted.items()}


def without_notes(tile: xr.Dataset) -> xr.Dataset:
    """Return the tile as it is written: without what the pipeline noted."""
    plain = tile.copy()
    plain.attrs = {name: value for name, value in tile.attrs.items() if name not in _NOTES}
    return plain
