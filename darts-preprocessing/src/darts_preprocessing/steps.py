"""What ``darts preprocess`` finds out, and refuses, before the first scene."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darts_preprocessing.config import PreprocessingConfig
from darts_preprocessing.loading.finding import listed_scenes, named_scenes
from darts_preprocessing.loading.geotiff import parse_bands
from darts_preprocessing.loading.releases import RULES
from darts_preprocessing.preprocessing import DEM_FEATURES, FEATURES
from darts_preprocessing.relative_elevation import check_radii
from darts_preprocessing.spectral_indices import is_index
from darts_utils.dates import parse_date
from darts_utils.errors import ConfigError
from darts_utils.files import exists, is_file
from darts_utils.variables import TCVIS_BANDS


def scene_paths(entries: Sequence[str], *, out: Path, bands: Mapping[str, int] | None) -> dict[str, Path]:
    """Find the scenes that a user names.

    Args:
        entries: Paths of scenes, folders of them, glob patterns, lists; see
            `darts_preprocessing.loading.finding.listed_scenes`.
        out: Folder of the results, which is no scene.
        bands: Band mapping, without which files are no scenes.

    Returns:
        Tile id → path, in the order given.

    Raises:
        ConfigError: An entry names nothing, two scenes have the same tile id, a name cannot be one, or a file comes without
            `bands`.
    """
    scenes = named_scenes(scene for entry in entries for scene in listed_scenes(entry, out=out))
    for path in scenes.values():
        if bands is None and is_file(path):
            raise ConfigError(
                f"'{path}' is a file, whose bands must be named: add --bands, for example blue=1,green=2,red=3,nir=4"
            )
    return scenes


def checked_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn options of the command line into arguments of `darts_preprocessing.load_and_preprocess`.

    Args:
        given: Options that were given, by name; bands and features as text.

    Raises:
        ConfigError: An option makes no sense, names nothing, or a feature lacks what it is made from.
    """
    options = dict(given)
    try:
        if "bands" in options:
            options["bands"] = parse_bands(options["bands"])
        if "date" in options:
            parse_date(options["date"])
        check_radii(
            outer_radius_m=options.get("tpi_outer_radius_m", PreprocessingConfig.tpi_outer_radius_m),
            inner_radius_m=options.get("tpi_inner_radius_m", PreprocessingConfig.tpi_inner_radius_m),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if options.get("tcvis_rule", RULES[0]) not in RULES:
        raise ConfigError(f"expected --tcvis-rule {' or '.join(RULES)}, but got {options['tcvis_rule']!r}")
    if options.get("sentinel2_offset_dn") not in (None, 0, 1000):
        raise ConfigError(f"expected --sentinel2-offset-dn 0 or 1000, but got {options['sentinel2_offset_dn']}")
    for name in ("dem", "tcvis"):
        if name in options and not exists(options[name]):
            raise ConfigError(f"expected rasters at '{options[name]}' (--{name}), but there are none: check the path")
    if "features" in options:
        options["features"] = _features(options["features"], options)
    return options


def _features(text: str, options: Mapping[str, Any]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(
            f"expected names in --features, but got {text!r}: name some, or leave the option out for the usual ones"
        )
    for name in names:
        if name not in FEATURES and not is_index(name):
            near = difflib.get_close_matches(name, FEATURES, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(FEATURES)}, or a spectral index"
            raise ConfigError(f"unknown feature {name!r} in --features: {advice}")
    for option, group in (("dem", DEM_FEATURES), ("tcvis", TCVIS_BANDS)):
        asked = [name for name in names if name in group]
        if asked and option not in options:
            raise ConfigError(f"{', '.join(asked)} cannot be made without --{option} PATH: add it, or leave them out")
    return names
