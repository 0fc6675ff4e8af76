"""The ordered stages of a run, built from its configuration: plain callables in a list.

``task → load → preprocess → inference → postprocess → export → outcome``. A runtime makes each stage once in each of its
processes (`Stage.make`; that is where models get there) and then calls it for every tile. The runtime of this process is
`darts_nextgen.pipeline.local`; others run the very same list. torch is imported where models are loaded, not before: processes
that never do start sooner, and need less memory.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import xarray as xr

from darts_export import export_tile
from darts_export.ellipsoid import pixel_size_m
from darts_export.manifest import Origin
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.inputs import input_fingerprints, input_paths
from darts_nextgen.pipeline.notes import inputs_of, with_inputs, without_notes
from darts_nextgen.pipeline.preparation import preprocess_tile
from darts_nextgen.pipeline.resuming import SOFTWARE, deciding_options, product_names, recorded_options
from darts_nextgen.pipeline.scene_options import SceneOptions
from darts_nextgen.pipeline.sections import section_options
from darts_nextgen.pipeline.tasks import SceneTask
from darts_postprocessing import postprocess
from darts_preprocessing.loading import load_scene
from darts_utils.device import computed
from darts_utils.errors import SceneError, TileContractError
from darts_utils.grids import geobox_of
from darts_utils.objects import find_objects

if TYPE_CHECKING:
    from darts_ensemble import Ensemble

STAGE_NAMES = ("load", "preprocess", "inference", "postprocess", "export")
"""Names of the stages, in order."""


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
    area_km2: float | None = None
    """Area with data, on the ellipsoid; None where the tile's CRS is tied to none."""
    nbytes: int = 0
    """Size of the files."""


def load_models(config: RunConfig) -> "Ensemble":
    """Read the models of a run.

    Raises:
        CheckpointError: A file or folder is absent or cannot be used.
        UnknownFrameworkError: No installed package provides a model's framework.
        ConfigError: Names or weights do not fit.
        DeviceError: A named device is not there.
    """
    from darts_ensemble import Ensemble

    return Ensemble.load(list(config.models), device=config.device, weights=config.weights or None)


def run_stages(
    config: RunConfig, *, features: Collection[str], models: Callable[[], "Ensemble"], model_hashes: Mapping[str, str]
) -> list[Stage]:
    """Build the stages of a run.

    Args:
        config: The run.
        features: Features that preprocessing makes, see `darts_nextgen.pipeline.requirements.required_features`.
        models: Gives the models in the process that runs the inference.
        model_hashes: Name of each model → SHA-256 of its file, for the manifests.

    Returns:
        The stages in order. The first takes a `SceneTask`, the last returns a `TileOutcome`, tiles go between them.
        Nothing is loaded yet.
    """
    steps: tuple[Callable[[], Callable[[Any], Any]], ...] = (
        lambda: partial(load_task, config=config, features=features),
        lambda: partial(preprocess_tile, config=config, features=features, missing=config.missing),
        lambda: partial(infer_tile, config=config, ensemble=models()),
        lambda: partial(postprocess, **section_options(config, "postprocessing")),
        lambda: partial(export_outcome, config=config, model_hashes=model_hashes),
    )
    return [Stage(name, make) for name, make in zip(STAGE_NAMES, steps, strict=True)]


def load_task(task: SceneTask, *, config: SceneOptions, features: Collection[str]) -> xr.Dataset:
    """Read a scene into a raw tile, which carries what its inputs were before they were read.

    Raises:
        SceneError: A file that belongs to the scene, the elevation or the trends cannot be read.
        DartsError: As `darts_preprocessing.loading.load_scene` does.
    """
    try:
        inputs, unreadable = input_fingerprints(input_paths(task, config=config, features=features)), None
    except OSError as error:
        inputs, unreadable = {}, error
    tile = load_scene(
        task.path,
        bands=config.bands or None,
        sentinel2_offset_dn=config.sentinel2_offset_dn,
        reflectance_scale=config.reflectance_scale,
        reflectance_offset=config.reflectance_offset,
        sensor=config.sensor,
        date=config.date,
    )
    if unreadable is not None:  # it is not one of those that loading reads, and names better
        raise SceneError(
            f"cannot read '{unreadable.filename}' ({unreadable.strerror}), which belongs to what the tile is made from: "
            "check the file, or remove it"
        ) from unreadable
    return with_inputs(tile.assign_attrs({"tile_id": task.tile_id}), inputs)


def infer_tile(tile: xr.Dataset, *, config: RunConfig, ensemble: "Ensemble") -> xr.Dataset:
    """Add the probabilities of the models."""
    return infer_tiles([tile], config=config, ensemble=ensemble)[0]


def infer_tiles(tiles: Sequence[xr.Dataset], *, config: RunConfig, ensemble: "Ensemble") -> list[xr.Dataset]:
    """Add the probabilities of the models to several tiles, whose patches share the batches of the networks."""
    return ensemble.inference_batched(
        tiles,
        options=config.inference,
        keep_members=config.postprocessing.keep_members,
        keep_std="probabilities_std" in config.export.products,
        missing=config.missing,
    )


def export_outcome(tile: xr.Dataset, *, config: RunConfig, model_hashes: Mapping[str, str]) -> TileOutcome:
    """Write the products of a tile and its manifest, and count its thaw slumps."""
    objects = find_objects(computed(tile["binarized_segmentation"].data)).count
    members = _members_of(tile, model_hashes)
    left_out = tuple(name for name in model_hashes if name not in members)
    written = export_tile(
        without_notes(tile),
        config.out,
        **section_options(config, "export") | {"products": product_names(config, members=members, left_out=left_out)},
        config=recorded_options(config),
        origin=Origin(
            inputs=inputs_of(tile),
            models=model_hashes,
            left_out=left_out,
            config=deciding_options(config),
            software=SOFTWARE,
        ),
        summary={"objects": objects},
    )
    return TileOutcome(
        objects=objects,
        products={name: str(path) for name, path in written.items()},
        area_km2=valid_area_km2(tile),
        nbytes=sum(path.stat().st_size for path in written.values()),
    )


def valid_area_km2(tile: xr.Dataset) -> float | None:
    """Area of the pixels with data, each as large as the one in the tile's middle is on the ellipsoid.

    Returns:
        The area; None where the CRS is tied to no ellipsoid.

    Examples:
        >>> from darts_utils.testing import example_tile
        >>> tile = example_tile(["valid_data_mask"], shape=(100, 100), resolution_m=10.0)
        >>> round(valid_area_km2(tile.assign(valid_data_mask=tile["valid_data_mask"] | True)), 3)
        1.001
    """
    try:
        width_m, height_m = pixel_size_m(geobox_of(tile))
    except TileContractError:
        return None
    return int(computed(tile["valid_data_mask"].data).sum()) * width_m * height_m / 1e6


def _members_of(tile: xr.Dataset, models: Collection[str]) -> list[str]:
    """The models that have spoken about a tile: all but those that were left out there."""
    left_out = tile["probabilities"].attrs.get("members_left_out", {})
    return [name for name in models if name not in left_out]
