"""Scenes and label polygons to patches for a training: loading and preprocessing are those of a run."""

import hashlib
import json
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd

from darts_export.fingerprints import Fingerprint
from darts_nextgen.pipeline.inputs import input_fingerprints, input_paths
from darts_nextgen.pipeline.notes import without_notes
from darts_nextgen.pipeline.preparation import preprocess_tile
from darts_nextgen.pipeline.resuming import SOFTWARE
from darts_nextgen.pipeline.scene_options import SceneOptions, convert_fields, path_or_none
from darts_nextgen.pipeline.stages import load_task
from darts_nextgen.pipeline.streams import is_stream
from darts_nextgen.pipeline.tasks import SceneTask, scene_tasks
from darts_preprocessing.loading.releases import ReleaseRule, releases_in
from darts_segmentation.training import PreparationConfig, PreparationReport, prepare_training_data
from darts_segmentation.training.other_scenes import warn_of_others
from darts_segmentation.training.traits import TCVIS_RULE
from darts_train_utils.patch_store import remove_scene
from darts_utils.config_tables import parse_table, plain_table
from darts_utils.errors import ConfigError, DartsError
from darts_utils.faults import attempt, collected_warnings
from darts_utils.files import exists, remove_leftovers, sole_writer
from darts_utils.logging import get_logger, log_tile
from darts_utils.tile_io import read_header, write_tile
from darts_utils.variables import TCVIS_BANDS, USUAL_TCVIS_RULE

_logger = get_logger(__name__)

TILES_FOLDER = "tiles"
"""Folder of the preprocessed tiles in that of the store."""

_MADE_FROM = "made_from"
"""Attribute of a preprocessed tile: digest of its files and options."""

_OF_PATCHES = ("labels", "out", "scene", "scenes", "regions", "patches", "dem", "tcvis")
"""Options that do not decide what is in a preprocessed tile; elevation and trends count by their content."""


@dataclass(frozen=True)
class TrainingScenesConfig(SceneOptions):
    """Everything that decides what ``darts train prepare`` does; each field is a key of its TOML file.

    The fields of the scenes are those of `SceneOptions`, but ``scenes`` takes no streams; ``out`` is the folder of the store of
    patches, and the preprocessed tiles are kept in its folder ``tiles``.

    Raises:
        ConfigError: There is no scene, or an option makes no sense.
    """

    labels: Path
    """Label polygons, in any format of GeoPandas and any CRS."""
    regions: Path | None = None
    """Polygons of regions with the column ``patches.region_column``, or a ``.toml`` file with a line ``tile id = region`` each."""
    features: tuple[str, ...] = ()
    """Features to make; empty: ``ndvi``, and what elevation and trends usually give."""
    patches: PreparationConfig = field(default_factory=PreparationConfig)
    """Options of `darts_segmentation.training.preparation.prepare_training_data`."""

    def __post_init__(self) -> None:
        convert_fields(self, labels=Path, regions=path_or_none)
        super().__post_init__()

    def wanted_features(self) -> tuple[str, ...]:
        """The features that preprocessing makes."""
        if self.features:
            return self.features
        of_dem = ("relative_elevation", "slope") if self.dem is not None else ()
        return ("ndvi", *of_dem, *(TCVIS_BANDS if self.tcvis is not None else ()))


@dataclass(frozen=True)
class TrainingScenesReport:
    """What became of the scenes."""

    patches: PreparationReport | None
    """Of the scenes that were preprocessed; None where there is none."""
    failed: Mapping[str, str]
    """Tile id → what is wrong, of the scenes that could not be preprocessed or cut into patches."""

    @property
    def exit_code(self) -> int:
        """0: all scenes are in the store; 1: some are not."""
        return 1 if self.failed else 0


def parse_training_scenes(table: Mapping[str, object]) -> TrainingScenesConfig:
    """Build a configuration from a table, as a TOML file or the command line gives it.

    Raises:
        ConfigError: Names the unknown key and the nearest valid one, or the key whose value is wrong.

    Examples:
        >>> parse_training_scenes({"labels": "a.gpkg", "out": "o", "scene": "s", "patches": {"patch_pix": 64}})
        Traceback (most recent call last):
        darts_utils.errors.ConfigError: unknown key 'patch_pix' in [patches]: did you mean 'patch_px'?
    """
    return parse_table(TrainingScenesConfig, table)


def prepare_scenes(
    config: TrainingScenesConfig, *, progress: Callable[[int, int], None] | None = None
) -> TrainingScenesReport:
    """Load and preprocess scenes, and turn them with their labels into patches.

    Args:
        config: What to do.
        progress: Told how many scenes have been preprocessed, of how many.

    Returns:
        What became of each scene; one that fails does not stop the others, and its former patches are forgotten. Polygons
        outside the others, or of other images, may be its own then: they are counted, and not refused. What is current in
        ``out`` is left as it is.

    Raises:
        ConfigError: A path is wrong, two scenes have one tile id, or scenes come as a stream: which scene a polygon belongs to
            is known only when all are. Nothing has been written.
        TrainingDataError: The labels do not fit, see `prepare_training_data`.
        OutputError: Another process is writing into ``out``, or what must be forgotten cannot be removed.

    Warns:
        DartsWarning: ``out`` holds scenes that the configuration does not name, from which a training will learn too.
    """
    features = config.wanted_features()
    for name in ("labels", "dem", "tcvis", "regions"):
        path = getattr(config, name)
        if path is not None and not exists(path):
            raise ConfigError(f"expected a file or folder at '{path}' ({name}), but there is none: check the path")
    streams = [entry for entry in config.scenes if is_stream(entry)]
    if streams:
        raise ConfigError(
            f"expected scenes that are all known before the first one is cut, but got the stream {streams[0]!r}: write its paths "
            "into a .txt file, one per line, and name that"
        )
    tasks = scene_tasks(config)
    regions = _read_regions(config)
    folder = config.out / TILES_FOLDER
    files: list[Path] = []
    failed: dict[str, str] = {}
    with sole_writer(folder) as is_certain:
        remove_leftovers(folder, all_writers=is_certain)
        for number, task in enumerate(tasks, start=1):
            with log_tile(task.tile_id), collected_warnings() as notes:
                done = attempt(
                    partial(_tile_file, task, config=config, features=features),
                    step="preprocess",
                    logger=_logger,
                )
            for note in notes:
                _logger.warning("%s: %s", task.tile_id, note)
            if done.value is None:
                remove_scene(config.out, task.tile_id)  # what it was before must not be learnt from
                failed[task.tile_id] = done.error or ""
                _logger.error("%d/%d %s failed: %s", number, len(tasks), task.tile_id, done.error)
            else:
                files.append(done.value)
            if progress is not None:
                progress(number, len(tasks))
        if not files:
            warn_of_others(config.out, named=list(failed))
            return TrainingScenesReport(None, failed)
        report = prepare_training_data(
            files, config.labels, config.out, config=config.patches, regions=regions, is_complete=not failed
        )
    if failed and (report.outside or report.mismatched):
        _logger.warning(
            "%d polygons are outside the other scenes, %d are of other images: they may be those of scenes that failed (%d), so "
            "nothing is refused; mend these scenes, and prepare again",
            report.outside,
            report.mismatched,
            len(failed),
        )
    of_patches = {scene.scene: scene.error or "" for scene in report.failed}
    return TrainingScenesReport(report, {**failed, **of_patches})


def _tile_file(task: SceneTask, *, config: TrainingScenesConfig, features: tuple[str, ...]) -> Path:
    """The file of a preprocessed tile, made anew where it is not current; its patches are forgotten then."""
    path = config.out / TILES_FOLDER / f"{task.tile_id}.nc"
    rule = _trends_rule(config, features)
    said = {} if rule is None else {TCVIS_RULE: rule}
    digest = _digest(task, config=config, features=features, said=said)
    if path.is_file():
        current = attempt(lambda: read_header(path), step="look", logger=_logger).value
        if current is not None and current.attrs.get(_MADE_FROM) == digest:
            return path
        remove_scene(config.out, task.tile_id)  # first: it may be killed before there is another tile
        path.unlink()
    tile = preprocess_tile(load_task(task, config=config, features=features), config=config, features=features)
    return write_tile(without_notes(tile).assign_attrs({_MADE_FROM: digest, **said}), path)


def _trends_rule(config: TrainingScenesConfig, features: Collection[str]) -> ReleaseRule | None:
    """The rule that chooses the release of the trends: what is stated, else the usual one where there is a choice."""
    if config.tcvis is None or config.tcvis_release is not None or not {*TCVIS_BANDS} & {*features}:
        return None
    if config.tcvis_rule is not None:
        return config.tcvis_rule
    return USUAL_TCVIS_RULE if len(releases_in(config.tcvis)) > 1 else None


def _digest(
    task: SceneTask, *, config: TrainingScenesConfig, features: tuple[str, ...], said: Mapping[str, str]
) -> str:
    inputs = input_fingerprints(input_paths(task, config=config, features=features))
    options = {name: value for name, value in plain_table(config).items() if name not in _OF_PATCHES}
    noted = {role: [_known_by(file) for file in files] for role, files in inputs.items()}
    made_with: dict[str, Any] = {"options": options, "features": features, "software": dict(SOFTWARE)}
    content = {"inputs": noted, **made_with, **said}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _known_by(file: Fingerprint) -> tuple[str, int, str | int]:
    """Name, size and content, which a copy keeps; the time of change where the content is not known."""
    return file.name, file.size, file.mtime_ns if file.sha256 is None else file.sha256


def _read_regions(config: TrainingScenesConfig) -> Mapping[str, str] | gpd.GeoDataFrame | None:
    path = config.regions
    if path is None:
        return None
    try:
        if path.suffix == ".toml":
            return {name: str(region) for name, region in tomllib.loads(path.read_text(encoding="utf-8")).items()}
        return gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    except (OSError, ValueError, DartsError) as error:
        raise ConfigError(f"cannot read regions '{path}' ({error}): check the format") from error
