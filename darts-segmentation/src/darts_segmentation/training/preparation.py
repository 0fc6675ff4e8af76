"""Preprocessed tiles and label polygons to patches: `prepare_training_data`."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import shapely
import xarray as xr
from numpy.typing import NDArray

from darts_segmentation.training.labels import Matching, Scene, SceneLabels, match_labels, read_labels
from darts_segmentation.training.other_scenes import warn_of_others
from darts_segmentation.training.patch_making import SceneJob, make_patches, tile_name
from darts_segmentation.training.preparation_config import PreparationConfig
from darts_train_utils.patch_store import remove_scene, scene_fingerprint, scene_table
from darts_utils.errors import OutputError, TrainingDataError
from darts_utils.faults import attempt
from darts_utils.files import remove_leftovers, sole_writer
from darts_utils.grids import geobox_of
from darts_utils.logging import get_logger
from darts_utils.patches import patch_windows
from darts_utils.tile_io import read_header, tile_checksum

_logger = get_logger(__name__)

_MADE_BY = 1
"""Raised when the same inputs would give other patches than before."""

_WITHOUT_EFFECT = ("processes", "mismatched", "outside", "unlabelled")
"""Options that decide whether there are patches, not which."""

Status = Literal["done", "current", "failed", "skipped"]


@dataclass(frozen=True)
class PreparedScene:
    """What became of one scene."""

    scene: str
    """Its tile id."""
    status: Status
    """Made now; there was nothing to do; something is wrong, or it has no labels and was to be skipped: then it is not in the
    store, nor is what it was before."""
    region: str
    """Where it lies."""
    patches: int = 0
    """In the store."""
    left_out: int = 0
    """Patches of which too little is known, or without the class and not drawn."""
    positive_share: float = 0.0
    """Share of the class in what is known, 0 … 1."""
    error: str | None = None
    """What is wrong, in one line."""


@dataclass(frozen=True)
class PreparationReport:
    """What became of scenes and labels."""

    scenes: tuple[PreparedScene, ...]
    """In the order of the tiles."""
    labels: int
    """Polygons that can be used."""
    repaired: int
    """Of these, how many were invalid and are mended."""
    dropped: int
    """Polygons without an area."""
    uncertain: int
    """Polygons that are marked so."""
    outside: int
    """Polygons outside all scenes."""
    mismatched: int
    """Polygons that name another scene or date than those they lie in."""

    @property
    def patches(self) -> int:
        """In the store, of these scenes."""
        return sum(scene.patches for scene in self.scenes)

    @property
    def positive_share(self) -> float:
        """Mean over the patches."""
        return sum(scene.positive_share * scene.patches for scene in self.scenes) / max(self.patches, 1)

    @property
    def failed(self) -> tuple[PreparedScene, ...]:
        """Scenes with which something is wrong."""
        return tuple(scene for scene in self.scenes if scene.status == "failed")


def prepare_training_data(
    tiles: Iterable[xr.Dataset | str | os.PathLike[str]],
    labels: str | os.PathLike[str] | gpd.GeoDataFrame,
    out: str | os.PathLike[str],
    *,
    config: PreparationConfig | None = None,
    regions: Mapping[str, str] | gpd.GeoDataFrame | None = None,
    is_complete: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> PreparationReport:
    """Turn preprocessed tiles and label polygons into patches that a training reads.

    Args:
        tiles: Preprocessed tiles, or files of `darts_utils.tile_io.write_tile`; of files, only as many are in memory as
            there are processes.
        labels: Polygons of the class, in any CRS.
        out: Folder of the store, see `darts_train_utils.patch_store`.
        config: Which patches there are; the defaults if not given.
        regions: Tile id → region, or polygons with ``config.region_column``; otherwise the region is what most polygons of a
            scene say in that column, else ``unknown``.
        is_complete: False: there are other scenes, which are not among `tiles`; polygons outside or of other images may be
            theirs then: they are counted, and not refused.
        progress: Told how many scenes have ended, of how many.

    Returns:
        What became of scenes and labels. A scene with which something is wrong is a row of it, and the others go on.

    Raises:
        TrainingDataError: Labels are empty, have no CRS, lie outside, or name other images; two tiles have one id; scenes
            have no labels (see the config for what is allowed). Nothing has been written then.
        OutputError: Another process is writing into `out`.
        DartsError: A tile file cannot be read at all.

    Warns:
        DartsWarning: The store holds scenes that are not among `tiles`, from which a training will learn too.

    Notes:
        A scene that is in the store, made from the same tile, polygons and options, is left as it is; one that is not
        current is removed before it is made. So a preparation that was killed goes on where it was, and ends with the
        same patches.
    """
    config = PreparationConfig() if config is None else config
    sources = [tile if isinstance(tile, xr.Dataset) else Path(tile) for tile in tiles]
    headers = [_header(source) for source in sources]
    scenes = [scene for scene, _ in headers]
    _check_names(scenes)
    read = read_labels(labels, config=config)
    matching = match_labels(read, scenes, config=config, is_complete=is_complete)
    with sole_writer(out) as is_certain:
        remove_leftovers(Path(out) / "scenes", all_writers=is_certain)
        jobs = []
        for number, (source, (scene, checksum)) in enumerate(zip(sources, headers, strict=True)):
            region = _region_of(scene, number, matching, regions, config)
            fingerprint = _fingerprint(checksum, region, matching.scenes[number], config)
            jobs.append(SceneJob(source, scene.name, region, matching.scenes[number], Path(out), fingerprint, config))
        rows = _prepare(jobs, [tuple(scene.grid.shape) for scene in scenes], config=config, progress=progress)
    warn_of_others(out, named=[scene.name for scene in scenes])
    return PreparationReport(
        tuple(rows),
        len(read.table),
        read.repaired,
        read.dropped,
        matching.uncertain,
        matching.outside,
        matching.mismatched,
    )


def _header(source: xr.Dataset | Path) -> tuple[Scene, str]:
    if isinstance(source, Path):
        header = read_header(source)
        name, date = str(header.attrs.get("tile_id", source.stem)), str(header.attrs.get("date", "unknown"))
        return Scene(name, date, header.grid), header.checksum
    return Scene(tile_name(source), str(source.attrs.get("date", "unknown")), geobox_of(source)), tile_checksum(source)


def _check_names(scenes: Sequence[Scene]) -> None:
    if not scenes:
        raise TrainingDataError("expected tiles, but got none: name tile files, or a folder of them")
    names = [scene.name for scene in scenes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TrainingDataError(f"expected a tile id of its own for each tile, but got {twice[0]!r} twice: rename one")


def _region_of(
    scene: Scene,
    number: int,
    matching: Matching,
    regions: Mapping[str, str] | gpd.GeoDataFrame | None,
    config: PreparationConfig,
) -> str:
    if isinstance(regions, gpd.GeoDataFrame):
        column = config.region_column
        if column is None or column not in regions.columns or regions.crs is None:
            raise TrainingDataError(
                f"expected polygons of regions with a CRS and a column region_column = {column!r}, but got "
                f"{', '.join(map(str, regions.columns))}: name the column"
            )
        box = shapely.box(*scene.grid.boundingbox.bbox)
        centre = gpd.GeoSeries([box.centroid], crs=str(scene.grid.crs)).to_crs(regions.crs).iloc[0]
        around = regions[regions.geometry.intersects(centre)]
        return "unknown" if around.empty else str(around[column].iloc[0])
    if regions is not None and scene.name in regions:
        return regions[scene.name]
    return matching.regions[number] or "unknown"


def _fingerprint(checksum: str, region: str, labels: SceneLabels, config: PreparationConfig) -> str:
    options = {name: value for name, value in asdict(config).items() if name not in _WITHOUT_EFFECT}
    digest = hashlib.sha256(json.dumps([_MADE_BY, checksum, region, options], sort_keys=True).encode())
    for shapes in (labels.of_class, labels.ignored):
        digest.update(len(shapes).to_bytes(8, "little"))
        for well_known in shapely.to_wkb(shapes):
            digest.update(well_known)
    return digest.hexdigest()


def _prepare(
    jobs: Sequence[SceneJob],
    shapes: Sequence[tuple[int, ...]],
    *,
    config: PreparationConfig,
    progress: Callable[[int, int], None] | None,
) -> list[PreparedScene]:
    rows: dict[int, PreparedScene] = {}
    to_make = {}
    for number, job in enumerate(jobs):
        if not len(job.labels.of_class) + len(job.labels.ignored) and config.unlabelled == "skip":
            remove_scene(job.out, job.scene)  # its former labels must not be learnt from
            rows[number] = PreparedScene(job.scene, "skipped", job.region)
        elif scene_fingerprint(job.out, job.scene) == job.fingerprint:
            rows[number] = _row(job, "current", shapes[number])
        else:
            to_make[number] = job
    for number, error in _made(to_make, processes=config.processes):
        job = jobs[number]
        rows[number] = (
            _row(job, "done", shapes[number])
            if error is None
            else PreparedScene(job.scene, "failed", job.region, error=error)
        )
        if error is not None:
            _logger.error("%s failed: %s", job.scene, error)
        if progress is not None:
            progress(len(rows), len(jobs))
    return [rows[number] for number in range(len(jobs))]


def _made(jobs: Mapping[int, SceneJob], *, processes: int) -> Iterator[tuple[int, str | None]]:
    """Make scenes, here or in processes; tell what went wrong with each."""
    if processes == 1 or len(jobs) < 2:
        for number, job in jobs.items():
            yield number, _attempted(job)
        return
    with _workers(min(processes, len(jobs))) as pool:
        waiting: dict[Future[str | None], int] = {pool.submit(_attempted, job): n for n, job in jobs.items()}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BrokenProcessPool as error:
            raise OutputError(
                "a process that makes patches was killed, perhaps for want of memory: run it again with fewer processes; what "
                "is complete stays"
            ) from error


def _attempted(job: SceneJob) -> str | None:
    return attempt(lambda: make_patches(job), step="prepare", logger=_logger).error


@contextmanager
def _workers(processes: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _row(job: SceneJob, status: Status, shape: tuple[int, ...]) -> PreparedScene:
    size = {"patch_px": job.config.patch_px, "overlap_px": job.config.overlap_px}
    windows = sum(1 for _ in patch_windows((shape[0], shape[1]), **size))
    table = scene_table(job.out, job.scene)
    if not table.is_file():
        return PreparedScene(job.scene, status, job.region, left_out=windows)
    columns = pq.read_table(table, columns=["positive_share", "known_share"])
    positive, known = (_column(columns[name]) for name in ("positive_share", "known_share"))
    share = float((positive * known).sum() / known.sum())
    return PreparedScene(job.scene, status, job.region, len(known), windows - len(known), share)


def _column(column: object) -> NDArray[np.float64]:
    return np.asarray(column, "float64")
