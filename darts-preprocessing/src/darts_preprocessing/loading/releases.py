"""Releases of the trends: which ones a folder holds, and which one an image takes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from darts_preprocessing.loading.sources import tile_paths
from darts_utils.dates import UNKNOWN_DATE, parse_date
from darts_utils.errors import SceneError

ReleaseRule = Literal["past_only", "upstream"]
"""How the year of an image decides about the release."""
RULES: tuple[ReleaseRule, ...] = ("past_only", "upstream")

_YEARS = (
    re.compile(r"(?<![A-Za-z0-9])(?:19|20)\d\d(?!\d)"),
    re.compile(r"(?<=[A-Za-z]{2})(?:19|20)\d\d(?!\d)"),
)
"""A year that stands alone, and one behind a word, ``tcvis2019``, which counts less because places of tiles are written so, too.
Behind a single letter, ``r2048``, there is no year."""
_UPSTREAM = ((2018, "2019"), (2019, "2020"), (2021, "2022"))
"""Last year of images → release; later images take `_UPSTREAM_LATEST`."""
_UPSTREAM_LATEST = "2024"


def releases_in(path: Path) -> dict[str | None, list[Path]]:
    """Group the rasters of a path by release.

    Args:
        path: Raster, or folder of rasters. The release of a raster is the last year in the innermost part of its path below
            the folder that has one, such as ``TCTrend_SR_2000-2019_TCVIS/0001.tif`` or ``tcvis_2019_r2048_c1024.tif``: numbers
            behind letters are years only where no other is.

    Returns:
        Release → its rasters; under None those of a folder without years, and a single raster.

    Raises:
        SceneNotFoundError: The folder holds no raster.
        SceneError: Only some of the rasters name a year.
    """
    if not path.is_dir():
        return {None: [path]}
    releases: dict[str | None, list[Path]] = {}
    for tile in tile_paths(path):
        releases.setdefault(_release_of(tile.relative_to(path)), []).append(tile)
    if None in releases and len(releases) > 1:
        named = next(name for name in releases if name is not None)
        raise SceneError(
            f"'{path}' must hold trends that all name their release, or none, but '{releases[None][0].name}' names none and "
            f"'{releases[named][0].name}' is of {named}: sort them into a folder for each release"
        )
    return releases


def _release_of(path: Path) -> str | None:
    for year in _YEARS:
        for part in reversed(path.parts):
            if years := year.findall(part):
                return str(years[-1])
    return None


def chosen_release(
    releases: Mapping[str | None, Sequence[Path]], *, release: str | None, date: str, rule: ReleaseRule, name: str
) -> str | None:
    """Choose the release for an image.

    Args:
        releases: What there is, see `releases_in`.
        release: What the user says, which counts more than the rule.
        date: Date of the image, ``YYYY-MM-DD`` or ``"unknown"``.
        rule: ``past_only``: the newest that ends before the year of the image, else the oldest, so that no image is judged by
            what came later. ``upstream``: as models were trained that take images up to 2018 with 2019, of 2019 with 2020, of
            2020 and 2021 with 2022, later ones with 2024.
        name: Folder, for messages.

    Raises:
        SceneError: The release is not there, or there are several and the image has no date.
        ValueError: There is no such rule.

    Examples:
        >>> there = {"2019": [], "2020": [], "2022": []}
        >>> chosen_release(there, release=None, date="2021-08-21", rule="past_only", name="tcvis")
        '2020'
        >>> chosen_release(there, release=None, date="2021-08-21", rule="upstream", name="tcvis")
        '2022'
    """
    if rule not in RULES:
        raise ValueError(f"expected the rule past_only or upstream for the trends, but got {rule!r}")
    there = sorted(each for each in releases if each is not None)
    if not there:
        return None
    if release is not None:
        wanted = release
    elif len(there) == 1 and rule == "past_only":
        wanted = there[0]
    elif date == UNKNOWN_DATE:
        raise SceneError(
            f"'{name}' holds the releases {', '.join(there)}, but the image has no date to choose one by: name the release, or "
            "the date"
        )
    else:
        wanted = _by_rule(there, year=parse_date(date).year, rule=rule)
    if wanted not in releases:
        raise SceneError(
            f"'{name}' must hold the release {wanted} of the trends, but holds {', '.join(there)}: add it, or name another"
        )
    return wanted


def _by_rule(there: Sequence[str], *, year: int, rule: ReleaseRule) -> str:
    if rule == "upstream":
        return next((release for last, release in _UPSTREAM if year <= last), _UPSTREAM_LATEST)
    past = [release for release in there if int(release) < year]
    return past[-1] if past else there[0]
