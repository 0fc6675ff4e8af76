"""The registry of tile variables: name, dtype, unit, range and meaning of everything a tile may hold.

Checks (`darts_utils.tiles`), NetCDF encodings (`darts_utils.encoding`), test tiles (`darts_utils.testing`) and the
reference page on the tile contract are derived from this table; nothing else in the workspace repeats it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np


@dataclass(frozen=True)
class Variable:
    """One variable of a tile, on dims ``(y, x)``."""

    name: str
    """Name in the dataset. A registry also knows ``<name>-<model>`` where `per_model` is True."""
    dtype: str
    """NumPy dtype in memory, e.g. ``"float32"``."""
    stage: str
    """The step that first writes it: loading, preprocessing, segmentation or postprocessing."""
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

    @property
    def attrs(self) -> dict[str, str]:
        """CF attributes of the variable, without ``source``, which the writer of the values adds."""
        return {"long_name": self.long_name, "units": self.units}


class VariableRegistry(Mapping[str, Variable]):
    """An immutable table of variables.

    Args:
        variables: The rows. Names must be unique.

    Raises:
        ValueError: A name appears twice.

    Examples:
        >>> VARIABLES["ndvi"].units
        '1'
        >>> VARIABLES["probabilities-full"].dtype
        'float32'
        >>> "ndmi" in VARIABLES
        False
        >>> more = VARIABLES.with_variables(Variable("ndmi", "float32", "preprocessing", "moisture index", "1"))
        >>> "ndmi" in more, "ndmi" in VARIABLES
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
        base, separator, model = name.partition("-")
        if separator and model and base in self._rows and self._rows[base].per_model:
            return self._rows[base]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def with_variables(self, *variables: Variable) -> "VariableRegistry":
        """Return a new registry that also knows `variables`; this one stays as it is."""
        return VariableRegistry([*self._rows.values(), *variables])

    def written_by(self, stage: str) -> tuple[str, ...]:
        """Names of the variables that `stage` writes, in table order."""
        return tuple(row.name for row in self._rows.values() if row.stage == stage)


OPTICAL_BANDS = ("blue", "green", "red", "nir")
"""The optical bands every tile has, in storage order."""

TCVIS_BANDS = ("tc_brightness", "tc_greenness", "tc_wetness")
"""The tasseled-cap trend composites, in the order of the TCVIS rasters."""

_NAN = float("nan")


def _band(name: str) -> Variable:
    # The range is that of the dtype: a raw tile holds DN as stored, a preprocessed one reflectance × 10 000.
    return Variable(name, "uint16", "loading", f"{name} surface reflectance", "1e-4", 0, np.iinfo("uint16").max)


def _trend(name: str) -> Variable:
    kind = name.removeprefix("tc_")
    return Variable(name, "uint8", "preprocessing", f"trend of tasseled-cap {kind}", "1", 0, 255)


VARIABLES = VariableRegistry(
    [
        *(_band(name) for name in OPTICAL_BANDS),
        Variable("planet_udm2", "uint8", "loading", "usable data mask, bits 0-5 are udm2 bands 1-6", "1", 0, 63),
        Variable("planet_udm1", "uint8", "loading", "unusable data mask, udm2 band 8", "1", 0, 255),
        Variable("s2_scl", "uint8", "loading", "Sentinel-2 scene classification", "1", 0, 11),
        Variable("ndvi", "float32", "preprocessing", "normalised difference vegetation index", "1", -1, 1, _NAN),
        Variable("relative_elevation", "float32", "preprocessing", "elevation above the mean around", "m", nodata=_NAN),
        Variable("slope", "float32", "preprocessing", "terrain slope", "degree", 0, 90, _NAN),
        *(_trend(name) for name in TCVIS_BANDS),
        Variable("valid_data_mask", "bool", "preprocessing", "sensor data exist", "1"),
        Variable("quality_data_mask", "bool", "preprocessing", "valid and free of cloud, shadow, haze and snow", "1"),
        Variable("dem", "float32", "preprocessing", "elevation above the WGS84 ellipsoid", "m", nodata=_NAN),
        Variable("hillshade", "float32", "preprocessing", "illumination of the terrain", "1", 0, 1, _NAN),
        Variable(
            "aspect",
            "float32",
            "preprocessing",
            "downslope direction, clockwise from true north",
            "degree",
            0,
            360,
            _NAN,
        ),
        Variable("curvature", "float32", "preprocessing", "terrain curvature", "m-1", nodata=_NAN),
        Variable(
            "probabilities", "float32", "segmentation", "probability of a thaw slump", "1", 0, 1, _NAN, per_model=True
        ),
        Variable("probabilities_std", "float32", "segmentation", "disagreement of the models", "1", 0, 1, _NAN),
        Variable(
            "probabilities_percent",
            "uint8",
            "postprocessing",
            "probability of a thaw slump",
            "percent",
            0,
            100,
            255,
            per_model=True,
        ),
        Variable(
            "binarized_segmentation", "uint8", "postprocessing", "thaw slump (1) or not (0)", "1", 0, 1, per_model=True
        ),
        Variable("extent", "bool", "postprocessing", "area in which the result is trusted", "1"),
    ]
)
"""All variables of the tile contract."""
