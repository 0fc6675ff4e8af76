"""The registry of tile variables: name, dtype, unit, range and meaning of everything a tile may hold.

Checks (`darts_utils.tiles`), NetCDF encodings (`darts_utils.encoding`), test tiles (`darts_utils.testing`) and the
reference page on the tile contract are derived from this table; nothing else in the workspace repeats it.
"""

import importlib.metadata
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import Final, Literal

from darts_utils.errors import DartsWarning

VARIABLES_GROUP = "darts.variables"
"""Entry-point group of packages that make variables beside those of the table: a function from a name to its row, or None. It is
imported when a name that the table lacks is looked up for the first time; where it is broken there is a warning."""

Origin = Literal["sensor", "optical", "dem", "tcvis", "model"]
"""What a variable is made from: the scene's files, its bands, elevation, trends, or what the models say."""


@dataclass(frozen=True)
class Variable:
    """One variable of a tile, on dims ``(y, x)``."""

    name: str
    """Name in the dataset. A registry also knows ``<name>-<model>`` where `per_model` is True."""
    dtype: str
    """NumPy dtype in memory, e.g. ``"float32"``."""
    stage: str
    """The step that first writes it: loading, preprocessing, segmentation or postprocessing."""
    origin: Origin
    """What it is made from; says which input is missing where the variable is."""
    long_name: str
    """CF ``long_name``."""
    units: str
    """CF ``units``; ``"1"`` where there is none."""
    valid_min: float | None = None
    """Smallest value that a valid pixel can have; None where the data have no bound."""
    valid_max: float | None = None
    """Largest value that a valid pixel can have; None where the data have no bound."""
    nodata: float | None = None
    """What an invalid pixel holds (NaN for floats); None where every value means something or a mask tells."""
    per_model: bool = False
    """True: ``<name>-<model>`` exists too, one for each member of an ensemble."""
    per_threshold: bool = False
    """True: ``<name>-<percent>`` exists, one for each further threshold, and stands for no variable without it."""
    is_directional: bool = False
    """True: values depend on where north or the sun is, so an image that is turned or mirrored needs others than those it had."""

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes of the variable, without ``source``, which the writer of the values adds."""
        return {"long_name": self.long_name, "units": self.units}


class VariableRegistry(Mapping[str, Variable]):
    """An immutable table of variables.

    It also knows variables that are not listed: ``<name>-<model>`` of rows with `per_model`, and those that installed packages
    announce in the entry-point group `VARIABLES_GROUP` (the spectral indices of darts-preprocessing, such as ``gndvi``).

    Args:
        variables: The rows. Names must be unique.

    Raises:
        ValueError: A name appears twice.

    Examples:
        >>> VARIABLES["ndvi"].units
        '1'
        >>> VARIABLES["probabilities-full"].dtype
        'float32'
        >>> VARIABLES["binarized_above-30"].dtype
        'uint8'
        >>> "moisture" in VARIABLES
        False
        >>> more = VARIABLES.with_variables(Variable("moisture", "float32", "preprocessing", "optical", "soil moisture", "1"))
        >>> "moisture" in more, "moisture" in VARIABLES
        (True, False)
    """

    def __init__(self, variables: Iterable[Variable]) -> None:
        rows: dict[str, Variable] = {}
        for variable in variables:
            if variable.name in rows:
                raise ValueError(f"expected unique variable names, but got {variable.name!r} twice: rename one")
            rows[variable.name] = variable
        self._rows = MappingProxyType(rows)

    def __getitem__(self, name: str) -> Variable:
        if name in self._rows:
            return self._rows[name]
        if not isinstance(name, str):  # xarray allows other names, the contract does not
            raise KeyError(name)
        base, _, suffix = name.partition("-")
        row = self._rows.get(base)
        if row is not None and suffix and (row.per_model or (row.per_threshold and _is_percent(suffix))):
            return row
        announced = _announced(name)
        if announced is None:
            raise KeyError(name)
        return announced

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def with_variables(self, *variables: Variable) -> "VariableRegistry":
        """Return a new registry that also knows `variables`; this one stays as it is."""
        return VariableRegistry([*self._rows.values(), *variables])


def _is_percent(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and float(text) <= 100


@cache
def _announced(name: str) -> Variable | None:
    """Row of a variable that an installed package knows, of which there may be too many for the table."""
    if not name.isidentifier():
        return None
    for entry in _entries():
        row = _row_of(name, entry)
        if row is not None:
            return row
    return None


@cache
def _entries() -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(importlib.metadata.entry_points(group=VARIABLES_GROUP))


def _row_of(name: str, entry: importlib.metadata.EntryPoint) -> Variable | None:
    """What a package says of a name; nothing, with a warning, where it is broken: the table still works."""
    try:
        row: Variable | None = entry.load()(name)
    except Exception as error:  # noqa: BLE001 - the code of others
        warnings.warn(
            f"variables {entry.name!r} are provided by {entry.value!r}, which does not work ({error!r}), so {name!r} is unknown "
            "here: reinstall that package",
            DartsWarning,
            stacklevel=2,
        )
        return None
    return row


OPTICAL_BANDS = ("blue", "green", "red", "nir")
"""The optical bands every tile has, in storage order."""

REFLECTANCE_UNIT = 10_000
"""What a preprocessed band holds where the surface reflectance is 1."""

REFLECTANCE_ATTRS: Mapping[str, float] = MappingProxyType(
    {"reflectance_scale": 1 / REFLECTANCE_UNIT, "reflectance_offset": 0.0}
)
"""What the attributes of a preprocessed band say: reflectance = value · scale + offset."""

TCVIS_BANDS = ("tc_brightness", "tc_greenness", "tc_wetness")
"""The tasseled-cap trend composites, in the order of the TCVIS rasters."""

USUAL_TCVIS_RULE: Final = "past_only"
"""How the date of a tile chooses among releases of the trends, where nobody says it otherwise."""

USUAL_SURROUNDINGS_M = 100.0
"""Radius of the disc that ``relative_elevation`` compares a pixel with, where nobody says another one."""

_NAN = float("nan")


# What rows have in common.
_band = partial(Variable, dtype="uint16", stage="loading", origin="sensor", units="1e-4", valid_min=0, valid_max=65535)
_sensor_mask = partial(Variable, dtype="uint8", stage="loading", origin="sensor", units="1", valid_min=0)
_mask = partial(Variable, dtype="bool", origin="sensor", units="1")
_index = partial(Variable, dtype="float32", stage="preprocessing", origin="optical", units="1", nodata=_NAN)
_terrain = partial(Variable, dtype="float32", stage="preprocessing", origin="dem", nodata=_NAN)
_trend = partial(Variable, dtype="uint8", stage="preprocessing", origin="tcvis", units="1", valid_min=0, valid_max=255)
_probability = partial(
    Variable, dtype="float32", stage="segmentation", origin="model", units="1", valid_min=0, valid_max=1, nodata=_NAN
)
_result = partial(Variable, dtype="uint8", stage="postprocessing", origin="model", valid_min=0, per_model=True)

VARIABLES = VariableRegistry(
    [
        # The range of a band is that of its dtype: a raw tile holds DN as stored, a preprocessed one reflectance × 10 000.
        *(_band(name, long_name=f"{name} surface reflectance") for name in OPTICAL_BANDS),
        _sensor_mask("planet_udm2", long_name="usable data mask, bits 0-5 are udm2 bands 1-6", valid_max=63),
        _sensor_mask("planet_udm1", long_name="unusable data mask, udm2 band 8", valid_max=255),
        _sensor_mask("s2_scl", long_name="Sentinel-2 scene classification", valid_max=11),
        _index("ndvi", long_name="normalised difference vegetation index", valid_min=-1, valid_max=1),
        _terrain("relative_elevation", long_name="elevation above the mean around", units="m"),
        _terrain("slope", long_name="terrain slope", units="degree", valid_min=0, valid_max=90),
        *(_trend(name, long_name=f"trend of tasseled-cap {name.removeprefix('tc_')}") for name in TCVIS_BANDS),
        _mask("valid_data_mask", stage="preprocessing", long_name="sensor data exist"),
        _mask("quality_data_mask", stage="preprocessing", long_name="valid and free of cloud, shadow, haze and snow"),
        _terrain("dem", long_name="elevation above the WGS84 ellipsoid", units="m"),
        _terrain(
            "hillshade",
            long_name="illumination of the terrain",
            units="1",
            valid_min=0,
            valid_max=1,
            is_directional=True,
        ),
        _terrain(
            "aspect",
            long_name="downslope direction, clockwise from true north",
            units="degree",
            valid_min=0,
            valid_max=360,
            is_directional=True,
        ),
        _terrain("curvature", long_name="terrain curvature, positive where convex", units="m-1"),
        _terrain("terrain_ruggedness", long_name="terrain ruggedness index", units="m", valid_min=0, valid_max=30_000),
        _terrain("vector_ruggedness", long_name="vector ruggedness measure", units="1", valid_min=0, valid_max=1),
        _terrain("dissection", long_name="height within the relief around", units="1", valid_min=0, valid_max=1),
        _probability("probabilities", long_name="probability of a thaw slump", per_model=True),
        _probability("probabilities_std", long_name="disagreement of the models"),
        _result(
            "probabilities_percent",
            long_name="probability of a thaw slump",
            units="percent",
            valid_max=100,
            nodata=255,
        ),
        _result("binarized_segmentation", long_name="thaw slump (1) or not (0)", units="1", valid_max=1),
        _result(
            "binarized_above",
            long_name="thaw slump above another threshold (1) or not (0)",
            units="1",
            valid_max=1,
            per_model=False,
            per_threshold=True,
        ),
        _mask("extent", stage="postprocessing", long_name="area in which the result is trusted"),
    ]
)
"""All variables of the tile contract."""


def directional_variables(names: Iterable[str]) -> tuple[str, ...]:
    """Return those variables that mean something else when an image is turned or mirrored.

    Args:
        names: Of variables; unknown ones are taken for not directional.

    Examples:
        >>> directional_variables(["red", "aspect", "slope"])
        ('aspect',)
    """
    return tuple(name for name in names if name in VARIABLES and VARIABLES[name].is_directional)
