"""Names of new slumps, made of where and what they are."""

import hashlib
import re

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from darts_export.dataset.config import CRS

Texts = NDArray[np.object_]

_ALPHABET = np.array(list("0123456789bcdefghjkmnpqrstuvwxyz"))
"""The digits of geohashes: no letter that looks like a number."""
_DIGITS = 8

_NAME = re.compile(f"[{''.join(_ALPHABET)}]{{{_DIGITS}}}-.*")

_MARGIN_M = 1.0
"""More than what rounding adds to the place of a geohash."""


def new_ids(outlines: NDArray[np.object_], years: NDArray[np.int64], models: Texts, *, taken: set[str]) -> Texts:
    """Name slumps by their earliest outlines.

    Args:
        outlines: ``(S,)`` polygons or multipolygons in EPSG:3413, the earliest of each slump.
        years: ``(S,)`` the years of these.
        models: ``(S,)`` what they were found with.
        taken: Names that are taken.

    Returns:
        ``(S,)`` names, none of them twice and none of those taken: the geohash of a point in the outline (8 digits, a cell of
        38 by 19 m at most), a hyphen, and 8 digits that stand for year, models and the outline in whole metres. Where a name
        is taken, its last 8 digits are drawn anew.

    Examples:
        >>> box = shapely.box(0, -2_000_000, 100, -1_999_900)
        >>> names = new_ids(np.array([box, box]), np.array([2019, 2020]), np.array(["full", "full"]), taken=set())
        >>> [name[:9] for name in names], names[0] == names[1]
        (['gh8pb495-', 'gh8pb495-'], False)
    """
    places = shapely.get_coordinates(shapely.point_on_surface(outlines))
    longitude, latitude = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(*places.T)
    contents = shapely.to_wkb(shapely.normalize(shapely.transform(outlines, np.round)), byte_order=1)
    names, used = np.empty(len(outlines), dtype=object), set(taken)
    stems = geohashes(longitude, latitude)
    for index, (stem, year, model, content) in enumerate(zip(stems, years.tolist(), models, contents, strict=True)):
        attempt = 0
        while (name := f"{stem}-{_digest(f'{year} {model} {attempt} '.encode() + content)}") in used:
            attempt += 1
        names[index] = name
        used.add(name)
    return names


def geohashes(longitude_deg: NDArray[np.float64], latitude_deg: NDArray[np.float64]) -> Texts:
    """Turn places into geohashes of 8 digits.

    References:
        Niemeyer 2008, http://geohash.org

    Examples:
        >>> geohashes(np.array([10.40744]), np.array([57.64911])).tolist()
        ['u4pruydq']
    """
    bits = 5 * _DIGITS // 2
    steps = [
        np.clip(np.floor((degrees + half) / (2 * half) * 2**bits), 0, 2**bits - 1).astype("int64")
        for degrees, half in ((longitude_deg, 180.0), (latitude_deg, 90.0))
    ]
    digits = np.zeros((_DIGITS, len(longitude_deg)), dtype="int64")
    for place in range(2 * bits):
        bit = steps[place % 2] >> (bits - 1 - place // 2) & 1
        digits[place // 5] |= bit << (4 - place % 5)
    return np.array(["".join(each) for each in _ALPHABET[digits].T], dtype=object)


def places_named(names: Texts) -> NDArray[np.float64]:
    """Find the places that names speak of.

    Args:
        names: ``(S,)`` names.

    Returns:
        ``(S, 4)`` minimal x and y, maximal x and y in EPSG:3413 of a box around the cell of each geohash: `new_ids` gives the
        name to no slump that does not reach into it. NaN for a name that `new_ids` never gives.

    Examples:
        >>> box = shapely.box(0, -2_000_000, 100, -1_999_900)
        >>> names = new_ids(np.array([box]), np.array([2019]), np.array(["full"]), taken=set())
        >>> shapely.box(*places_named(names)[0]).intersects(box), places_named(np.array(["mine"])).tolist()
        (True, [[nan, nan, nan, nan]])
    """
    known = np.array([_NAME.fullmatch(name) is not None for name in names], dtype=bool)
    bounds = np.full((len(names), 4), np.nan)
    if not known.any():
        return bounds
    letters = np.array([list(name[:_DIGITS]) for name in names[known]])
    digits = np.searchsorted(_ALPHABET, letters)
    steps = [np.zeros(len(digits), dtype="int64") for _ in range(2)]
    bits = 5 * _DIGITS
    for place in range(bits):
        steps[place % 2] = steps[place % 2] << 1 | (digits[:, place // 5] >> (4 - place % 5) & 1)
    longitude, latitude = (
        [(step + side) / 2 ** (bits // 2) * 2 * half - half for side in (0, 1)]
        for step, half in zip(steps, (180.0, 90.0), strict=True)
    )
    corners = pyproj.Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform(
        np.array([longitude[0], longitude[1], longitude[0], longitude[1]]),
        np.array([latitude[0], latitude[0], latitude[1], latitude[1]]),
    )
    low, high = ([function(axis, axis=0) for axis in corners] for function in (np.min, np.max))
    bounds[known] = np.column_stack([*low, *high]) + np.array([-1, -1, 1, 1]) * _MARGIN_M
    return bounds


def _digest(content: bytes) -> str:
    number = int.from_bytes(hashlib.sha256(content).digest()[: 5 * _DIGITS // 8], "big")
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_DIGITS)))
