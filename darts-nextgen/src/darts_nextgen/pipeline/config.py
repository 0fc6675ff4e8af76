"""Every option of a run in one frozen dataclass; the options of the single steps are the packages' own dataclasses."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts_ensemble.membership import Missing, check_missing
from darts_export.config import ExportConfig
from darts_nextgen.pipeline.resources import RayConfig
from darts_nextgen.pipeline.scene_options import SceneOptions, convert_fields, paths
from darts_nextgen.pipeline.sections import SECTIONS, check_section, section_keys
from darts_postprocessing import PostprocessingConfig
from darts_postprocessing.checks import check_options
from darts_utils.config_tables import check_keys, parse_table, plain_table
from darts_utils.errors import ConfigError
from darts_utils.inference.config import InferenceConfig


@dataclass(frozen=True)
class RunConfig(SceneOptions):
    """Everything that decides what a run does; each field is a key of ``run.toml`` and an option of ``darts run``.

    The fields of the scenes are those of `SceneOptions`; the results come into the folder ``out``. Paths may be given as text,
    and a single scene, pattern or model without a list around it.

    Raises:
        ConfigError: There is no scene or no model, or an option makes no sense; the message names the key.

    Examples:
        >>> config = RunConfig(scene="scene.tif", models="optical.pt", out="results")
        >>> config.models, config.postprocessing.threshold
        ((PosixPath('optical.pt'),), 0.5)
    """

    models: tuple[Path, ...]
    """Model files, and folders of model files; several models are averaged."""
    device: str = "auto"
    """Where the networks run: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"``."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each model in the mean, by the name of its file without suffix; empty: all the same."""
    missing: Missing = "raise"
    """What becomes of a model that needs what there is not, such as trends: ``"raise"``: the run, or the tile, fails;
    ``"skip"``: it is left out, with a warning, and the others are averaged."""
    retries: int = 2
    """How often a step is tried again after an error that may pass: of the network, or of the file system."""
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    """Options of the sliding window."""
    postprocessing: PostprocessingConfig = field(default_factory=PostprocessingConfig)
    """Options of `darts_postprocessing.postprocess`."""
    export: ExportConfig = field(default_factory=ExportConfig)
    """Options of `darts_export.export_tile`."""
    ray: RayConfig = field(default_factory=RayConfig)
    """What `darts_nextgen.pipeline.ray.run_ray` may use of a cluster; decides nothing about the results."""

    def __post_init__(self) -> None:
        convert_fields(self, models=paths, weights=dict)
        super().__post_init__()
        if not self.models:
            raise ConfigError("expected at least one model, but got none: add --models FILE_OR_DIR")
        if not self.export.products:
            raise ConfigError("expected at least one product to write, but export.products is empty: name some")
        if self.retries < 0:
            raise ConfigError(f"retries must be at least 0, but got {self.retries}")
        check_missing(self.missing)
        for section in SECTIONS:
            check_section(self, section)
        _check_postprocessing(self.postprocessing)


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


def _check_postprocessing(options: PostprocessingConfig) -> None:
    try:
        check_options(options)
    except ValueError as error:
        raise ConfigError(f"[postprocessing]: {error}") from error
