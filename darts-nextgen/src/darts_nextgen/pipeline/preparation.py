"""From a raw tile to one that the models understand, with what elevation and trends there are."""

import warnings
from collections.abc import Collection, Iterable

import xarray as xr

from darts_ensemble.membership import Missing
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.scene_options import SceneOptions
from darts_nextgen.pipeline.sections import section_options
from darts_preprocessing import load_auxiliary, preprocess
from darts_preprocessing.preprocessing import DEM_FEATURES
from darts_utils.errors import DartsWarning, NoOverlapError
from darts_utils.grids import geobox_of, tile_id
from darts_utils.variables import TCVIS_BANDS

_ALL_PERCENT = 100.0


def preprocess_tile(
    tile: xr.Dataset, *, config: SceneOptions, features: Collection[str], missing: Missing = RunConfig.missing
) -> xr.Dataset:
    """Preprocess a raw tile with the elevation and the trends that its features need.

    Args:
        tile: Raw tile.
        config: The options of the scenes.
        features: Features to make.
        missing: What becomes of features of elevation or trends that do not reach the tile.

    Returns:
        The tile with its features. Where models that cannot run are left out (``missing="skip"``), those of elevation or
        trends that do not reach the tile are not among them, so that the ensemble sees what it must do without.

    Raises:
        NoOverlapError: With ``missing="raise"``, elevation or trends lie elsewhere.
        DartsError: As `darts_preprocessing.load_auxiliary` and `darts_preprocessing.preprocess` do.

    Warns:
        DartsWarning: With ``missing="skip"``, elevation or trends lie elsewhere.
    """
    given: dict[str, xr.Dataset | None] = {}
    wanted = list(features)
    for source, names in (("dem", DEM_FEATURES), ("tcvis", TCVIS_BANDS)):
        try:
            given[source] = _load(source, tile, config=config, features=[name for name in wanted if name in names])
        except NoOverlapError as error:
            if missing == "raise":
                raise
            warnings.warn(f"tile {tile_id(tile)!r} goes on without {source}: {error}", DartsWarning, stacklevel=2)
            wanted = [name for name in wanted if name not in names]
    options = section_options(config, "preprocessing")
    done = preprocess(tile, dem=given.get("dem"), tcvis=given.get("tcvis"), features=wanted, **options)
    return done.drop_vars(_unknown(done, wanted)) if missing == "skip" else done


def _load(source: str, tile: xr.Dataset, *, config: SceneOptions, features: Collection[str]) -> xr.Dataset | None:
    rule = {} if config.tcvis_rule is None else {"tcvis_rule": config.tcvis_rule}
    loaded = load_auxiliary(
        geobox_of(tile),
        dem=config.dem if source == "dem" else None,
        tcvis=config.tcvis if source == "tcvis" else None,
        tcvis_release=config.tcvis_release,
        date=tile.attrs["date"],
        features=features,
        tpi_outer_radius_m=config.preprocessing.tpi_outer_radius_m,
        **rule,
    )
    return loaded.dem if source == "dem" else loaded.tcvis


def _unknown(tile: xr.Dataset, features: Iterable[str]) -> list[str]:
    """Features of which not a single pixel is known: the source reaches the surroundings of the tile alone."""
    return [name for name in features if tile[name].attrs.get("missing_percent") == _ALL_PERCENT]
