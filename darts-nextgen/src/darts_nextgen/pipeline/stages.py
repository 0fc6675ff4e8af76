"""The ordered stages of a run, built from its configuration: plain callables in a list.

``task → load → preprocess → inference → postprocess → export → outcome``. A runtime makes each stage once in each of its
processes (`Stage.make`; that is where models get there) and then calls it for every tile. The runtime of this process is
`darts_nextgen.pipeline.local`; others run the very same list.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import xarray as xr

from darts_ensemble import Ensemble
from darts_export import export_tile
from darts_nextgen.pipeline.config import RunConfig, config_table, section_options
from darts_nextgen.pipeline.tasks import SceneTask
from darts_postprocessing import postprocess
from darts_preprocessing import load_auxiliary, preprocess
from darts_preprocessing.loading import load_scene
from darts_utils.device import computed
from darts_utils.grids import geobox_of
from darts_utils.objects import label_objects

STAGE_NAMES = ("load", "preprocess", "inference", "postprocess", "export")
"""Names of the stages, in order."""

MEMBER_PRODUCTS = ("probabilities", "binarized", "prediction_segments")
"""Products that are written for each model too where the members are kept."""


@dataclass(frozen=True)
class Stage:
    """One step of a run."""

    name: str
    """Name in the results table, one of `STAGE_NAMES`."""
    make: Callable[[], Callable[[Any], Any]]
    """Makes the step, once in each process; the step takes what the one before returns."""


@dataclass(frozen=True)
class TileOutcome:
    """What the last stage returns: small enough to travel."""

    objects: int
    """Number of thaw slumps that were found."""
    products: Mapping[str, str]
    """Key of each file in the STAC item → path."""


def load_models(config: RunConfig) -> Ensemble:
    """Read the models of a run.

    Raises:
        CheckpointError: A file or folder is absent or cannot be used.
        UnknownFrameworkError: No installed package provides a model's framework.
        ConfigError: Names or weights do not fit.
        DeviceError: A named device is not there.
    """
    return Ensemble.load(list(config.models), device=config.device, weights=config.weights or None)


def run_stages(config: RunConfig, *, features: Collection[str], models: Callable[[], Ensemble]) -> list[Stage]:
    """Build the stages of a run.

    Args:
        config: The run.
        features: Features that preprocessing makes, see `darts_nextgen.pipeline.requirements.required_features`.
        models: Gives the models in the process that runs the inference.

    Returns:
        The stages in order. The first takes a `SceneTask`, the last returns a `TileOutcome`, tiles go between them.
        Nothing is loaded yet.
    """
    steps: tuple[Callable[[], Callable[[Any], Any]], ...] = (
        lambda: partial(load_task, config=config),
        lambda: partial(preprocess_tile, config=config, features=features),
        lambda: partial(infer_tile, config=config, ensemble=models()),
        lambda: partial(postprocess, **section_options(config, "postprocessing")),
        lambda: partial(export_outcome, config=config),
    )
    return [Stage(name, make) for name, make in zip(STAGE_NAMES, steps, strict=True)]


def load_task(task: SceneTask, *, config: RunConfig) -> xr.Dataset:
    """Read a scene into a raw tile."""
    tile = load_scene(
        task.path,
        bands=config.bands or None,
        sentinel2_offset_dn=config.sentinel2_offset_dn,
        reflectance_scale=config.reflectance_scale,
        reflectance_offset=config.reflectance_offset,
        sensor=config.sensor,
        date=config.date,
    )
    return tile.assign_attrs(tile_id=task.tile_id)


def preprocess_tile(tile: xr.Dataset, *, config: RunConfig, features: Collection[str]) -> xr.Dataset:
    """Preprocess a raw tile with the elevation and the trends that its features need."""
    auxiliary = load_auxiliary(
        geobox_of(tile),
        dem=config.dem,
        tcvis=config.tcvis,
        tcvis_release=config.tcvis_release,
        features=features,
        tpi_outer_radius_m=config.preprocessing.tpi_outer_radius_m,
    )
    options = section_options(config, "preprocessing")
    return preprocess(tile, dem=auxiliary.dem, tcvis=auxiliary.tcvis, features=features, **options)


def infer_tile(tile: xr.Dataset, *, config: RunConfig, ensemble: Ensemble) -> xr.Dataset:
    """Add the probabilities of the models."""
    return ensemble.inference(
        tile,
        options=config.inference,
        keep_members=config.postprocessing.keep_members,
        keep_std="probabilities_std" in config.export.products,
    )


def export_outcome(tile: xr.Dataset, *, config: RunConfig) -> TileOutcome:
    """Write the products of a tile and count its thaw slumps."""
    members = [
        str(name).removeprefix("probabilities-") for name in tile.data_vars if str(name).startswith("probabilities-")
    ]
    wanted = [name for name in config.export.products if name in MEMBER_PRODUCTS]
    products = [*(f"{name}-{member}" for member in members for name in wanted), *config.export.products]
    written = export_tile(tile, config.out, products=products, config=recorded_options(config))
    _, objects = label_objects(computed(tile["binarized_segmentation"].data))
    return TileOutcome(objects=objects, products={name: str(path) for name, path in written.items()})


def recorded_options(config: RunConfig) -> dict[str, Any]:
    """The options that decide the content of a tile's files: recorded in the files.

    Not among them: where things are, which products are written, and what the tile's own metadata say.
    """
    table = config_table(config)
    elsewhere = (
        "scene",
        "scenes",
        "models",
        "out",
        "dem",
        "tcvis",
        "tcvis_release",
        "device",
        "export",
        "sensor",
        "date",
    )
    return {name: value for name, value in table.items() if name not in elsewhere and value != {}}
