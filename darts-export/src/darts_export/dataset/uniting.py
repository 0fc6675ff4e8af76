"""Unions, intersections and majorities of the outlines of many groups at a time."""

import numpy as np
import shapely
from numpy.typing import NDArray

from darts_export.dataset.grouping import Groups

_FOLDED = 6
"""Larger groups are united one by one, by cascades, which grow more slowly with the number of members."""

Outlines = NDArray[np.object_]
"""Polygons and multipolygons."""


def unite(outlines: Outlines, groups: Groups) -> Outlines:
    """Unite the outlines of each group.

    Args:
        outlines: ``(N,)`` valid outlines.
        groups: Their groups.

    Returns:
        ``(G,)`` a group's one outline as it is; unions in normal form, so that they depend only on which outlines these are
        and on their order.

    Examples:
        >>> from darts_export.dataset.grouping import groups_of
        >>> row = shapely.box([0, 1, 5], 0, [1, 2, 6], 1)
        >>> [outline.area for outline in unite(row, groups_of(np.array([0, 0, 1])))]
        [2.0, 1.0]
    """
    sizes = groups.sizes
    united = outlines[groups.firsts]
    for member in range(1, _FOLDED):
        more = np.flatnonzero((sizes > member) & (sizes <= _FOLDED))
        united[more] = shapely.union(united[more], outlines[groups.members[groups.starts[more] + member]])
    for group in np.flatnonzero(sizes > _FOLDED).tolist():
        start = groups.starts[group]
        united[group] = shapely.union_all(outlines[groups.members[start : start + sizes[group]]])
    several = sizes > 1
    united[several] = shapely.normalize(united[several])
    return united


def intersect(one: Outlines, other: Outlines) -> Outlines:
    """Intersect outlines pair by pair, and keep what has an area; empty where nothing has."""
    return areal(shapely.intersection(one, other))


def areal(geometries: NDArray[np.object_]) -> Outlines:
    """Keep of geometries what has an area.

    Examples:
        >>> mixed = shapely.from_wkt(["POINT (0 0)", "GEOMETRYCOLLECTION (POINT (9 9), POLYGON ((0 0, 1 0, 1 1, 0 0)))"])
        >>> [str(outline) for outline in areal(mixed)]
        ['MULTIPOLYGON EMPTY', 'POLYGON ((0 0, 1 0, 1 1, 0 0))']
    """
    kinds = shapely.get_type_id(geometries)
    others = np.flatnonzero((kinds != shapely.GeometryType.POLYGON) & (kinds != shapely.GeometryType.MULTIPOLYGON))
    if len(others) == 0:
        return geometries
    kept = geometries.copy()
    parts, owner = shapely.get_parts(geometries[others], return_index=True)
    polygons = shapely.get_dimensions(parts) == 2
    kept[others] = shapely.MultiPolygon()
    for index in np.unique(owner[polygons]).tolist():
        kept[others[index]] = shapely.union_all(parts[polygons & (owner == index)])
    return kept


def covered_by_at_least(outlines: Outlines, groups: Groups, needed: NDArray[np.int64]) -> Outlines:
    """Find, for each group, what at least a number of its outlines cover.

    Args:
        outlines: ``(N,)`` valid outlines.
        groups: ``(G,)`` groups of them.
        needed: ``(G,)`` how many of a group's outlines must cover a place, from 1.

    Returns:
        ``(G,)`` outlines in normal form, perhaps empty.

    Examples:
        >>> from darts_export.dataset.grouping import groups_of
        >>> row = shapely.box([0, 1, 2], 0, [3, 4, 5], 1)
        >>> [outline.bounds for outline in covered_by_at_least(row, groups_of(np.zeros(3, dtype=int)), np.array([2]))]
        [(1.0, 0.0, 4.0, 1.0)]
    """
    found = np.full(len(needed), shapely.MultiPolygon(), dtype=object)
    sizes = groups.sizes
    for size, need in np.unique(np.column_stack([sizes, needed]), axis=0).tolist():
        which = np.flatnonzero((sizes == size) & (needed == need))
        if need > size:
            continue
        # layers[n] is what at least n + 1 of the outlines so far cover; those that can no longer matter are left as they are.
        layers = [outlines[groups.members[groups.starts[which]]]]
        for member in range(1, size):
            outline = outlines[groups.members[groups.starts[which] + member]]
            grown = list(layers)
            for depth in range(max(0, need - size + member), len(layers)):
                more = outline if depth == 0 else intersect(layers[depth - 1], outline)
                grown[depth] = shapely.union(layers[depth], more)
            if len(layers) < need:
                grown.append(intersect(layers[-1], outline))
            layers = grown
        found[which] = areal(layers[need - 1])
    normal: Outlines = shapely.normalize(found)
    return normal
