"""Every option of a run in one frozen dataclass; the options of the single steps are the packages' own dataclasses."""

import dataclasses
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from darts_ensemble.membership import Missing, check_missing
from darts_export import export_tile
from darts_export.config import ExportConfig
from darts_nextgen.pipeline.resources import RayConfig
from darts_postprocessing import PostprocessingConfig, postprocess
from darts_postprocessing.checks import check_options
from darts_preprocessing import PreprocessingConfig, preprocess
from darts_preprocessing.loading.geotiff import checked_bands
from darts_preprocessing.loading.releases import RULES, ReleaseRule
from darts_utils.config_tables import check_keys, parse_table, plain_table
from darts_utils.dates import parse_date
from darts_utils.errors import ConfigError
from darts_utils.inference.config import InferenceConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run does; each field is a key of ``run.toml`` and an option of ``darts run``.

    Paths may be given as text, and a single scene, pattern or model without a list around it.

    Raises:
        ConfigError: There is no scene or no model, or an option makes no sense; the message names the key.

    Examples:
        >>> config = RunConfig(scene="scene.tif", models="optical.pt", out="results")
        >>> config.models, config.postprocessing.threshold
        ((PosixPath('optical.pt'),), 0.5)
    """

    models: tuple[Path, ...]
    """Model files, and folders of model files; several models are averaged."""
    out: Path
    """Folder of the results."""
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
    """Count of reflectance 0 in Sentinel-2 folders, whose files do not say it: 0 or 1000; None: not known."""
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
    None: as the models say that they were trained (``config["tcvis_rule"]``), else ``"past_only"``."""
    device: str = "auto"
    """Where the networks run: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"``."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each model in the mean, by the name of its file without suffix; empty: all the same."""
    missing: Missing = "raise"
    """What becomes of a model that needs what there is not, such as trends: ``"raise"``: the run, or the tile, fails;
    ``"skip"``: it is left out, with a warning, and the others are averaged."""
    retries: int = 2
    """How often a step is tried again after an error that may pass: of the network, or of the file system."""
    preprocessing: PreprocessingConfig = field(default_factory=PreprocessingConfig)
    """Options of `darts_preprocessing.preprocess`."""
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    """Options of the sliding window."""
    postprocessing: PostprocessingConfig = field(default_factory=PostprocessingConfig)
    """Options of `darts_postprocessing.postprocess`."""
    export: ExportConfig = field(default_factory=ExportConfig)
    """Options of `darts_export.export_tile`."""
    ray: RayConfig = field(default_factory=RayConfig)
    """What `darts_nextgen.pipeline.ray.run_ray` may use of a cluster; decides nothing about the results."""

    def __post_init__(self) -> None:
        for name, value in _converted(self).items():
            object.__setattr__(self, name, value)
        if not self.scene and not self.scenes:
            raise ConfigError("expected scenes to map, but got none: add --scene PATH or --scenes GLOB_OR_LIST")
        if not self.models:
            raise ConfigError("expected at least one model, but got none: add --models FILE_OR_DIR")
        if not self.export.products:
            raise ConfigError("expected at least one product to write, but export.products is empty: name some")
        if "" in self.scenes:
            raise ConfigError("expected a pattern or a list of scenes, but got an empty text: is a variable unset?")
        if self.retries < 0:
            raise ConfigError(f"retries must be at least 0, but got {self.retries}")
        check_missing(self.missing)
        _check_sections(self)
        _check_scene_options(self)
        radii = self.preprocessing
        if not 0 <= radii.tpi_inner_radius_m < radii.tpi_outer_radius_m < math.inf:
            raise ConfigError(
                "expected 0 <= preprocessing.tpi_inner_radius_m < preprocessing.tpi_outer_radius_m, both finite, but got "
                f"{radii.tpi_inner_radius_m} and {radii.tpi_outer_radius_m}"
            )
        _check_postprocessing(self.postprocessing)


SECTIONS: Mapping[str, Callable[..., Any] | None] = MappingProxyType(
    {"preprocessing": preprocess, "inference": None, "postprocessing": postprocess, "export": export_tile, "ray": None}
)
"""The sections of a configuration and the verb that takes the options of each; inference and ray take their dataclass whole."""


def section_keys(section: str) -> tuple[str, ...]:
    """The keys of a section: those fields of its dataclass that its verb takes.

    Examples:
        >>> section_keys("preprocessing")
        ('tpi_outer_radius_m', 'tpi_inner_radius_m')
    """
    names = [row.name for row in dataclasses.fields(get_type_hints(RunConfig)[section])]
    verb = SECTIONS[section]
    return tuple(name for name in names if verb is None or name in inspect.signature(verb).parameters)


def section_options(config: RunConfig, section: str) -> dict[str, Any]:
    """The options of a section, as keyword arguments of its verb."""
    values = getattr(config, section)
    return {name: getattr(values, name) for name in section_keys(section)}


def parse_config(table: Mapping[str, object]) -> RunConfig:
    """Build a configuration from a table, as a TOML file or the command line gives it.

    Args:
        table: Keys are the fields of `RunConfig`; sections are tables of their own.

    Raises:
        ConfigError: Names the unknown key and the nearest valid one, or the key whose value is wrong.

    Examples:
        >>> parse_config({"scene": ["a.tif"], "models": ["m.pt"], "out": "results", "devise": "cpu"})
        Traceback (most recent call last):
        darts_utils.errors.ConfigError: unknown key 'devise' in the configuration: did you mean 'device'?
    """
    homes = {f"[{section}]": section_keys(section) for section in SECTIONS}
    for section in SECTIONS:
        rows = table.get(section)
        if isinstance(rows, Mapping):
            others = {home: keys for home, keys in homes.items() if home != f"[{section}]"}
            check_keys(rows, section_keys(section), where=f"[{section}]", elsewhere=others)
    check_keys(table, [row.name for row in dataclasses.fields(RunConfig)], where="the configuration", elsewhere=homes)
    return parse_table(RunConfig, table)


def config_table(config: RunConfig) -> dict[str, Any]:
    """The table of plain data that `parse_config` turns back into an equal configuration."""
    table = plain_table(config)
    for section in SECTIONS:
        table[section] = {key: value for key, value in table[section].items() if key in section_keys(section)}
    return table


def _check_sections(config: RunConfig) -> None:
    """Refuse options that would have no effect: the verb does not take them."""
    for section in SECTIONS:
        values = getattr(config, section)
        for row in dataclasses.fields(values):
            if row.name not in section_keys(section) and getattr(values, row.name) != row.default:
                raise ConfigError(
                    f"{section}.{row.name} is not an option of a run, but got {getattr(values, row.name)!r}: "
                    f"expected one of {', '.join(section_keys(section))}"
                )


def _converted(config: RunConfig) -> dict[str, Any]:
    """The fields as their types say, from what a notebook may give."""
    try:
        return {
            "scene": tuple(map(Path, _listed(config.scene))),
            "scenes": tuple(map(os.fspath, _listed(config.scenes))),
            "models": tuple(map(Path, _listed(config.models))),
            "out": Path(config.out),
            **{name: Path(value) for name in ("dem", "tcvis") if (value := getattr(config, name)) is not None},
            **{name: dict(getattr(config, name)) for name in ("bands", "weights")},
        }
    except TypeError as error:
        raise ConfigError(f"expected paths as text or Path, and tables of bands and weights, but {error}") from error


def _listed(value: Any) -> Iterable[Any]:
    return (value,) if isinstance(value, str | os.PathLike) else value


def _check_scene_options(config: RunConfig) -> None:
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
        raise ConfigError(f"reflectance_offset must be a finite number, but got {config.reflectance_offset}")
    if config.sentinel2_offset_dn not in (None, 0, 1000):
        raise ConfigError(f"sentinel2_offset_dn must be 0 or 1000, but got {config.sentinel2_offset_dn}")


def _check_postprocessing(options: PostprocessingConfig) -> None:
    try:
        check_options(options)
    except ValueError as error:
        raise ConfigError(f"[postprocessing]: {error}") from error
