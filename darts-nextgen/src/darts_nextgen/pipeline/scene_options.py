"""Which scenes there are and how they are loaded and preprocessed: what maps them and what trains with them share it."""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts_nextgen.pipeline.sections import check_section
from darts_preprocessing import PreprocessingConfig
from darts_preprocessing.loading.geotiff import checked_bands
from darts_preprocessing.loading.releases import RULES, ReleaseRule
from darts_preprocessing.relative_elevation import check_radii
from darts_utils.dates import parse_date
from darts_utils.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """The scenes, what belongs to them, and how they become preprocessed tiles; each field is a key of a TOML file.

    Paths may be given as text, and a single scene or pattern without a list around it.

    Raises:
        ConfigError: There is no scene, or an option makes no sense; the message names the key.
    """

    out: Path
    """Folder of what is made."""
    scene: tuple[Path, ...] = ()
    """Scene folders and GeoTIFFs, one by one; each must exist."""
    scenes: tuple[str, ...] = ()
    """Many scenes: glob patterns, folders of scenes, lists (``.txt`` with a path per line; ``.csv`` and ``.parquet`` with the
    column ``scene`` and maybe ``tile_id``), named pipes, and ``"-"`` for standard input, from which paths may come without
    end."""
    bands: Mapping[str, int] = field(default_factory=dict)
    """Which band of a GeoTIFF is what, from 1: ``{"blue": 1, "green": 2, "red": 3, "nir": 7}``."""
    reflectance_scale: float | None = None
    """Reflectance of one count of a GeoTIFF; None: as the file declares, else 0.0001."""
    reflectance_offset: float | None = None
    """Reflectance of the count 0 of a GeoTIFF; None: as the file declares, else 0."""
    sentinel2_offset_dn: int | None = None
    """Count of reflectance 0 in historic Sentinel-2 folders, whose files do not say it: 0 or 1000; None: not known. ``.SAFE``
    products say it, unless their baseline is 99.xx, and are refused where this contradicts them."""
    sensor: str | None = None
    """Sensor of scenes that do not say it."""
    date: str | None = None
    """Date ``YYYY-MM-DD`` of scenes that do not say it."""
    dem: Path | None = None
    """Elevation model: ArcticDEM raster, or folder of its tiles."""
    tcvis: Path | None = None
    """Tasseled-cap trends: TCVIS raster, or folder of rasters, also of several releases."""
    tcvis_release: str | None = None
    """Release of the trends, such as ``"2020"``, which their file does not say, or which to take of several; recorded with
    the results."""
    tcvis_rule: ReleaseRule | None = None
    """How the date of a scene chooses among several releases, see `darts_preprocessing.loading.releases.chosen_release`;
    None: as the models say that they were trained (``config["tcvis_rule"]``), else ``"past_only"``. A model must be run with
    the rule that it was trained with."""
    preprocessing: PreprocessingConfig = field(default_factory=PreprocessingConfig)
    """Options of `darts_preprocessing.preprocess`."""

    def __post_init__(self) -> None:
        convert_fields(self, out=Path, scene=paths, scenes=_texts, bands=dict, dem=path_or_none, tcvis=path_or_none)
        if not self.scene and not self.scenes:
            raise ConfigError("expected scenes to map, but got none: add --scene PATH or --scenes GLOB_OR_LIST")
        if "" in self.scenes:
            raise ConfigError("expected a pattern or a list of scenes, but got an empty text: is a variable unset?")
        _check_metadata(self)
        check_section(self, "preprocessing")
        radii = self.preprocessing
        try:
            check_radii(outer_radius_m=radii.tpi_outer_radius_m, inner_radius_m=radii.tpi_inner_radius_m)
        except ValueError as error:
            raise ConfigError(
                f"preprocessing.tpi_outer_radius_m and preprocessing.tpi_inner_radius_m: {error}"
            ) from error


def convert_fields(config: object, **converters: Callable[[Any], Any]) -> None:
    """Give fields of a frozen dataclass the types that they declare, from what a notebook may give.

    Args:
        config: The dataclass; to be called while it is made.
        converters: Name of a field → what makes its value.

    Raises:
        ConfigError: A value is of another kind.
    """
    for name, convert in converters.items():
        try:
            object.__setattr__(config, name, convert(getattr(config, name)))
        except TypeError as error:
            raise ConfigError(f"{name}: expected paths as text or Path, or a table of names, but {error}") from error


def paths(value: Any) -> tuple[Path, ...]:
    """Make a tuple of paths from one or several, texts or paths.

    Examples:
        >>> paths("a.tif"), paths(["b", Path("c")])
        ((PosixPath('a.tif'),), (PosixPath('b'), PosixPath('c')))
    """
    return tuple(map(Path, _listed(value)))


def path_or_none(value: Any) -> Path | None:
    """Make a path where there is one."""
    return None if value is None else Path(value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(os.fspath, _listed(value)))


def _listed(value: Any) -> Iterable[Any]:
    return (value,) if isinstance(value, str | os.PathLike) else value


def _check_metadata(config: SceneOptions) -> None:
    try:
        if config.bands:
            checked_bands(config.bands)
    except ValueError as error:
        raise ConfigError(f"bands: {error}") from error
    try:
        if config.date is not None:
            parse_date(config.date)
    except ValueError as error:
        raise ConfigError(f"date: {error}") from error
    if config.tcvis_rule is not None and config.tcvis_rule not in RULES:
        raise ConfigError(f"expected tcvis_rule to be one of {', '.join(RULES)}, but got {config.tcvis_rule!r}")
    scale, offset = config.reflectance_scale, config.reflectance_offset
    if scale is not None and not 0 < scale < math.inf:
        raise ConfigError(f"reflectance_scale must be a finite number above 0, but got {scale}")
    if offset is not None and not math.isfinite(offset):
        raise ConfigError(f"reflectance_offset must be a finite number, but got {offset}")
    if config.sentinel2_offset_dn not in (None, 0, 1000):
        raise ConfigError(f"sentinel2_offset_dn must be 0 or 1000, but got {config.sentinel2_offset_dn}")
