"""How older projects scaled the inputs of their networks, said in tile units.

Older files state numbers that multiply what *their* tiles held: reflectance instead of reflectance × 10 000, an index
that was stored as ``(ndvi + 1) · 10 000``, a relative elevation that was stored as ``(m + 50) · 300``. In which of these a
factor counts is told by the factor itself: with the right one the usual range of the variable fills the network's input
(0 … 1) between a tenth and ten times; with a wrong one it would be off by a factor of three hundred at least. What fits
nothing is refused. Imports no torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from darts_utils.errors import CheckpointError
from darts_utils.inference.normalization import Scaling
from darts_utils.variables import OPTICAL_BANDS, REFLECTANCE_UNIT, TCVIS_BANDS, VARIABLES

_LEAST, _MOST = 0.1 - 1e-9, 10 + 1e-9
"""How much of the network's input the usual range of a variable may fill."""


@dataclass(frozen=True)
class Storage:
    """What an older tile held of a variable: ``gain · (x + shift)``, with x in today's tile units."""

    gain: float
    shift: float = 0.0


_TILE_UNITS = Storage(1.0)
_REFLECTANCE = Storage(1 / REFLECTANCE_UNIT)
_SHIFTED_INDEX = Storage(1e4, 1.0)

ELEVATIONS: Mapping[str, Storage] = MappingProxyType({"tpi50": Storage(300.0, 50.0), "tpi300": Storage(300.0, 30.0)})
"""The two ways in which relative elevation was stored: ``(m + 50) · 300`` and, within 300 m, ``(m + 30) · 300``."""

ELEVATION_RADIUS_M: Mapping[str, float] = MappingProxyType({"tpi300": 300.0})
"""Radius of the surroundings of relative elevation, where it is known."""

_OPTICAL: Mapping[str, Scaling] = MappingProxyType(
    {
        "dn3000": Scaling(offset=0.0, scale=1 / 3000),
        "reflectance": Scaling(offset=-1000.0, scale=1 / 6000),  # (x / 10 000 + 0.1) / 0.6
    }
)
"""The two generations of optical scaling."""

LEGACY_NORMALIZATIONS = tuple(
    "+".join(parts) for optical in _OPTICAL for parts in ((optical,), *((optical, each) for each in ELEVATIONS))
)
"""Names of the normalisations that a user can state for a model file that does not."""

HOW_TO_STATE_IT = (
    f"say how it was trained with legacy_normalization= or `darts model convert IN OUT --legacy-normalization NAME`, where NAME "
    f"is one of {', '.join(LEGACY_NORMALIZATIONS)}: dn3000 is reflectance × 10 000 / 3000, reflectance is "
    "(reflectance + 0.1) / 0.6; tpi50 is a relative elevation of (m + 50) / 100, tpi300 one within 300 m of (m + 30) / 100"
)

_SPANS = {**dict.fromkeys(OPTICAL_BANDS, float(REFLECTANCE_UNIT)), "relative_elevation": 100.0}
"""Usual range of variables, in tile units, where it is not the registry's."""


def stated_scaling(name: str, factor: object, offset: object = 0.0, *, elevation: str | None) -> Scaling:
    """Turn ``stored · factor + offset``, clipped to 0 … 1, into tile units.

    Args:
        name: The variable.
        factor: As the file states it.
        offset: As the file states it; added last.
        elevation: Key of `ELEVATIONS`, where the user has named one.

    Returns:
        The same as ``(x − offset) · scale`` of tile units x.

    Raises:
        CheckpointError: A number is none, fits no unit in which the variable was ever stored, or is about a relative
            elevation of which the user must say how it was stored.

    Examples:
        >>> stated_scaling("red", 1 / 0.6, 0.1 / 0.6, elevation=None)  # of reflectance
        Scaling(offset=-1000.0, scale=0.000166666666667, clip=True)
        >>> stated_scaling("ndvi", 1 / 20_000, elevation=None)
        Scaling(offset=-1.0, scale=0.5, clip=True)
    """
    number, added = _number(name, "factor", factor), _number(name, "offset", offset)
    storage = _storage_of(name, number, elevation=elevation)
    scale = number * storage.gain
    start = 0.0 - storage.shift - added / scale
    if storage is _TILE_UNITS and added == 0:
        return Scaling(start, scale)
    return Scaling(_tidy(start), _tidy(scale))


def is_stored_elevation(name: str, factor: object) -> bool:
    """Whether a factor counts in a stored relative elevation, so that the user must say in which."""
    stored = ELEVATIONS["tpi50"]
    return (
        name == "relative_elevation"
        and isinstance(factor, int | float)
        and _fills(factor * stored.gain, _span("relative_elevation"))
    )


def legacy_scalings(chosen: str, variables: Sequence[str], *, clip: bool) -> dict[str, Scaling]:
    """Scale variables as an older generation did.

    Args:
        chosen: One of `LEGACY_NORMALIZATIONS`.
        variables: Names of the input variables.
        clip: Whether inputs were limited to 0 … 1.

    Returns:
        Name → scaling, in tile units.

    Raises:
        CheckpointError: The name is unknown, says nothing about relative elevation, which is an input, or it is not known
            how a variable was scaled.

    Examples:
        >>> legacy_scalings("dn3000+tpi50", ["relative_elevation"], clip=False)
        {'relative_elevation': Scaling(offset=-50.0, scale=0.01, clip=False)}
    """
    optical, elevation = split_legacy_normalization(chosen)
    known: dict[str, tuple[float, float]] = {
        **dict.fromkeys(OPTICAL_BANDS, (_OPTICAL[optical].offset, _OPTICAL[optical].scale)),
        "ndvi": (-1.0, 0.5),
        "slope": (0.0, 1 / 90),
        **dict.fromkeys(TCVIS_BANDS, (0.0, 1 / 255)),
    }
    if elevation is not None:
        known["relative_elevation"] = (-ELEVATIONS[elevation].shift, 0.01)
    unknown = [name for name in variables if name not in known]
    if "relative_elevation" in unknown:
        raise CheckpointError(
            f"expected to be told how relative_elevation was scaled, but {chosen!r} does not say: {HOW_TO_STATE_IT}"
        )
    if unknown:
        raise CheckpointError(
            f"expected inputs of which it is known how {chosen!r} scaled them ({', '.join(known)}), but got "
            f"{', '.join(unknown)}: state config['normalization'] by hand"
        )
    return {name: Scaling(*known[name], clip=clip) for name in variables}


def split_legacy_normalization(chosen: str) -> tuple[str, str | None]:
    """Split the name of a legacy normalisation into its optical and its elevation part.

    Raises:
        CheckpointError: The name is unknown.
    """
    if chosen not in LEGACY_NORMALIZATIONS:
        raise CheckpointError(
            f"expected legacy_normalization to be one of {', '.join(LEGACY_NORMALIZATIONS)}, but got {chosen!r}"
        )
    optical, _, elevation = chosen.partition("+")
    return optical, elevation or None


def _storage_of(name: str, factor: float, *, elevation: str | None) -> Storage:
    span = _span(name)
    storages = [_TILE_UNITS]
    if name in OPTICAL_BANDS:
        storages.append(_REFLECTANCE)
    if name == "ndvi":
        storages.append(_SHIFTED_INDEX)
    fitting = [storage for storage in storages if span is None or _fills(factor * storage.gain, span)]
    if fitting:
        return fitting[0]
    if is_stored_elevation(name, factor):
        if elevation is None:
            raise CheckpointError(
                f"expected to be told how relative_elevation was stored, of which its factor {factor:g} is one, but got "
                f"nothing: {HOW_TO_STATE_IT}"
            )
        return ELEVATIONS[elevation]
    raise CheckpointError(
        f"expected a factor with which {name} fills the network's input, of about {1 / (span or 1):.3g} in tile units, but got "
        f"{factor:g}, which fits no unit that {name} was ever stored in: state config['normalization'] by hand"
    )


def _span(name: str) -> float | None:
    if name in _SPANS:
        return _SPANS[name]
    row = VARIABLES.get(name)
    if row is None or row.valid_min is None or row.valid_max is None:
        return None
    return row.valid_max - row.valid_min


def _fills(scale: float, span: float | None) -> bool:
    return span is not None and _LEAST <= abs(scale) * span <= _MOST


def _number(name: str, what: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e300 else math.inf  # a whole number may be beyond double precision
        if math.isfinite(number) and (what == "offset" or number != 0):
            return number
    raise CheckpointError(
        f"expected the {what} of {name} to be a finite number{', and not 0' if what == 'factor' else ''}, but got {value!r}"
    )


def _tidy(value: float) -> float:
    """Without the last digits, which are those of the arithmetic; far finer than single precision."""
    return float(f"{value:.12g}")
