"""Which patches train, which validate and which test; no two that overlap are ever on different sides.

Overlap is measured on the ground, whatever scene, date or CRS a patch comes from. What must stay together (overlapping
patches, scenes or regions with all that they overlap) is one group; groups are drawn. Blocks of ground cut through
patches: those that reach over to another side are left out. Every split is checked before it is returned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from darts_train_utils.config import SplitConfig, SplitMethod
from darts_utils.errors import TrainingDataError

_GROUND = "EPSG:3413"
_SLIVER = 1e-4
"""Share of a patch below which an overlap is taken for the rounding of two projections; a row of 1000 pixels is more."""
_TOLERANCE_M = 1e-3
_STRATA = (0.0, 0.01, 0.1)
"""Upper ends of positive share: no slump at all, traces, some; the rest is much."""


@dataclass(frozen=True)
class Patches:
    """What splits need to know of patches, one entry each.

    Raises:
        TrainingDataError: The entries are not of one number, or a window has no area.
    """

    scenes: Sequence[str]
    """Scene of each."""
    regions: Sequence[str]
    """Region of each."""
    crs: Sequence[str]
    """CRS of each, as pyproj reads it."""
    bounds: NDArray[np.float64]
    """``(N, 4)``: left, bottom, right, top in that CRS."""
    positive_shares: NDArray[np.float64]
    """``(N,)``: share of known pixels that are of the class, 0 … 1."""

    def __post_init__(self) -> None:
        counts = [len(each) for each in (self.scenes, self.regions, self.crs, self.bounds, self.positive_shares)]
        if len(set(counts)) != 1 or self.bounds.shape != (counts[0], 4):
            raise TrainingDataError(f"expected as many scenes, regions, CRS, bounds and shares, but got {counts}")
        if not (self.bounds[:, 2:] > self.bounds[:, :2]).all():
            raise TrainingDataError(
                "expected bounds as left, bottom, right, top, but a window has no area: reorder them"
            )

    def __len__(self) -> int:
        return len(self.scenes)


@dataclass(frozen=True)
class Split:
    """Rows of patches by side."""

    training: NDArray[np.int64]
    """Rows to learn from."""
    validation: NDArray[np.int64]
    """Rows that decide when to stop."""
    test: NDArray[np.int64]
    """Rows for the score that is reported."""
    left_out: NDArray[np.int64]
    """Rows that overlap another side."""


def split_patches(patches: Patches, *, config: SplitConfig) -> Split:
    """Share patches among training, validation and test.

    Args:
        patches: All of them.
        config: What stays together, and the shares.

    Returns:
        The split; the same for the same patches in the same order.

    Raises:
        TrainingDataError: A side that was asked for gets no patch, for want of groups.

    Examples:
        >>> bounds = np.array([[x, 0, x + 10, 10] for x in range(0, 200, 10)], "float64")
        >>> many = Patches(["s"] * 20, ["r"] * 20, ["EPSG:3413"] * 20, bounds, np.zeros(20))
        >>> split = split_patches(many, config=SplitConfig(method="random"))
        >>> len(split.training), len(split.validation), len(split.test)
        (14, 3, 3)
    """
    training_share = 1 - config.validation_share - config.test_share
    shares = np.array([training_share, config.validation_share, config.test_share])
    sides = _draw_sides(patches, shares, method=config.method, block_m=config.block_m, seed=config.seed)
    split = Split(*(np.flatnonzero(sides == side) for side in (0, 1, 2, -1)))
    check_split(patches, (split.training, split.validation, split.test))
    return split


def split_folds(patches: Patches, *, folds: int, config: SplitConfig) -> list[Split]:
    """Make the splits of a cross-validation.

    Args:
        patches: All of them.
        folds: How many, at least 2.
        config: What stays together; of the shares, `validation_share` is ignored and `test_share` too.

    Returns:
        One split for each fold, with that fold as the test and no validation; what is not left out is tested once.

    Raises:
        TrainingDataError: There are fewer groups than folds, or `folds` is below 2.
    """
    if folds < 2:
        raise TrainingDataError(f"expected at least 2 folds, but got {folds}: one fold leaves nothing to train on")
    shares = np.full(folds, 1 / folds)
    sides = _draw_sides(patches, shares, method=config.method, block_m=config.block_m, seed=config.seed)
    check_split(patches, [np.flatnonzero(sides == fold) for fold in range(folds)])
    nothing = np.array([], "int64")
    return [
        Split(
            np.flatnonzero((sides != fold) & (sides >= 0)),
            nothing,
            np.flatnonzero(sides == fold),
            np.flatnonzero(sides < 0),
        )
        for fold in range(folds)
    ]


def check_split(patches: Patches, sides: Iterable[NDArray[np.int64]]) -> None:
    """Make sure that no two patches on different sides overlap, and that none is on two.

    Args:
        patches: All of them.
        sides: Rows of each side.

    Raises:
        TrainingDataError: Names two patches that overlap and their scenes, or a patch that is on two sides.
    """
    side_of = np.full(len(patches), -1)
    for side, rows in enumerate(sides):
        if (side_of[rows] >= 0).any() or len(set(rows.tolist())) != len(rows):
            raise TrainingDataError("expected each patch on one side, but one is on two: split anew with split_patches")
        side_of[rows] = side
    first, second = find_overlaps(patches).T
    wrong = (side_of[first] != side_of[second]) & (side_of[first] >= 0) & (side_of[second] >= 0)
    if wrong.any():
        a, b = (int(rows[wrong][0]) for rows in (first, second))
        raise TrainingDataError(
            f"expected no overlap between the sides of a split, but patches {a} (scene {patches.scenes[a]!r}) and {b} "
            f"(scene {patches.scenes[b]!r}) share ground, and {int(wrong.sum()) - 1} other pairs do: "
            "split anew with split_patches"
        )


def find_overlaps(patches: Patches) -> NDArray[np.int64]:
    """Find the pairs of patches that share ground; to touch is not to share.

    Args:
        patches: All of them.

    Returns:
        ``(M, 2)`` rows, the smaller first, in order.
    """
    places = _on_ground(patches)
    first, second = shapely.STRtree(places).query(places, predicate="intersects")
    keep = first < second
    first, second = first[keep], second[keep]
    crs = np.array(patches.crs, dtype=object)
    low = np.maximum(patches.bounds[first, :2], patches.bounds[second, :2])
    high = np.minimum(patches.bounds[first, 2:], patches.bounds[second, 2:])
    shared = np.asarray((high - low > _TOLERANCE_M).all(axis=1))
    mixed = crs[first] != crs[second]
    if mixed.any():
        areas = shapely.area(places)
        common = shapely.area(shapely.intersection(places[first[mixed]], places[second[mixed]]))
        shared[mixed] = common > _SLIVER * np.minimum(areas[first[mixed]], areas[second[mixed]])
    pairs = np.stack([first[shared], second[shared]], axis=1).astype("int64")
    return pairs[np.lexsort(pairs.T[::-1])]


def _on_ground(patches: Patches) -> NDArray[np.object_]:
    left, bottom, right, top = patches.bounds.T
    corners = np.stack([[left, right, right, left], [bottom, bottom, top, top]], axis=-1).transpose(1, 0, 2).copy()
    crs = np.array(patches.crs, dtype=object)
    for name in sorted(set(patches.crs)):
        rows = crs == name
        x, y = Transformer.from_crs(name, _GROUND, always_xy=True).transform(corners[rows, :, 0], corners[rows, :, 1])
        corners[rows] = np.stack([x, y], axis=-1)
    places: NDArray[np.object_] = shapely.polygons(corners)
    return places


def _draw_sides(
    patches: Patches, shares: NDArray[np.float64], *, method: SplitMethod, block_m: float, seed: int
) -> NDArray[np.int64]:
    """Return the side of each patch, -1 where it overlaps another side."""
    pairs = find_overlaps(patches)
    if method == "blocks":
        groups = _blocks(patches, block_m)
    else:
        names = {"scene": patches.scenes, "region": patches.regions}.get(method)
        groups = _components(len(patches), pairs, names)
    strata = np.zeros(len(patches), "int64")
    if method == "stratified":
        strata = _strata(groups, patches.positive_shares)
    sides = _share_groups(groups, strata, shares, seed)
    if method == "blocks":
        first, second = pairs.T
        across = sides[first] != sides[second]
        sides[np.concatenate([first[across], second[across]])] = -1
    empty = [side for side, share in enumerate(shares) if share > 0 and not (sides == side).any()]
    if empty:
        raise TrainingDataError(
            f"expected patches on each of {int((shares > 0).sum())} sides, but {len(patches)} patches in "
            f"{len(set(groups.tolist()))} groups that must stay together (method {method!r}) leave {len(empty)} empty: use "
            "another method, fewer sides, smaller blocks or more data"
        )
    return sides


def _blocks(patches: Patches, block_m: float) -> NDArray[np.int64]:
    centres = shapely.get_coordinates(shapely.centroid(_on_ground(patches)))
    return _numbers(list(map(tuple, np.floor(centres / block_m).tolist())))


def _components(count: int, pairs: NDArray[np.int64], names: Sequence[str] | None) -> NDArray[np.int64]:
    first, second = pairs.T
    if names is not None:  # a patch is tied to the first one of its name
        _, leaders, inverse = np.unique(np.array(names, dtype=str), return_index=True, return_inverse=True)
        first = np.concatenate([first, np.arange(count)])
        second = np.concatenate([second, leaders[inverse]])
    graph = coo_array((np.ones(len(first), "int8"), (first, second)), shape=(count, count))
    groups: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype("int64")
    return groups


def _numbers(keys: list[tuple[float, ...]]) -> NDArray[np.int64]:
    order = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys], "int64")


def _strata(groups: NDArray[np.int64], positive_shares: NDArray[np.float64]) -> NDArray[np.int64]:
    mean = np.bincount(groups, positive_shares) / np.bincount(groups)
    strata: NDArray[np.int64] = np.searchsorted(_STRATA, mean)[groups]
    return strata


def _share_groups(
    groups: NDArray[np.int64], strata: NDArray[np.int64], shares: NDArray[np.float64], seed: int
) -> NDArray[np.int64]:
    """Give each group, in random order and the large ones first, to the side that lacks most; the last ones to empty sides."""
    numbers, leaders, sizes = np.unique(groups, return_index=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[np.argsort(-sizes[order], kind="stable")]
    missing = shares * len(groups)
    wanted = {stratum: shares * int((strata == stratum).sum()) for stratum in set(strata.tolist())}
    side_of = np.empty(int(numbers.max(initial=-1)) + 1, "int64")
    asked: list[int] = np.flatnonzero(shares > 0).tolist()
    empty = set(asked)
    for done, group in enumerate(order):
        of_stratum = wanted[int(strata[leaders[group]])]
        side = max(
            asked if len(order) - done > len(empty) or not empty else sorted(empty),
            key=lambda each: (round(float(of_stratum[each]), 6), round(float(missing[each]), 6)),
        )
        empty.discard(side)
        side_of[numbers[group]] = side
        of_stratum[side] -= sizes[group]
        missing[side] -= sizes[group]
    sides: NDArray[np.int64] = side_of[groups]
    return sides
