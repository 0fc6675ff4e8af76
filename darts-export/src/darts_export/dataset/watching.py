"""Which images looked at an object, and whether they saw all of its ground."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from darts_export.dataset.grouping import groups_of
from darts_export.dataset.uniting import Outlines, intersect, unite

_ALL = 1 - 1e-9
"""Tiles that together cover this share of an object cover all of it: seams between them have no width but rounding."""


@dataclass(frozen=True)
class Sights:
    """What each image sees of each object: ``S`` pairs of an object and an image."""

    outlines: Outlines
    """``(S,)`` polygons or multipolygons."""
    objects: NDArray[np.int64]
    """``(S,)`` the objects, in ascending order."""
    images: NDArray[np.int64]
    """``(S,)`` the images."""


@dataclass(frozen=True)
class TrustedAreas:
    """What each tile was trusted with: ``A`` areas."""

    outlines: Outlines
    """``(A,)`` polygons or multipolygons."""
    images: NDArray[np.int64]
    """``(A,)`` the image of each, numbered as those of `Sights`."""
    alike: NDArray[np.int64]
    """``(A,)`` year and models of each, numbered as those of the objects."""


@dataclass(frozen=True)
class Watched:
    """The images that observed each of ``G`` objects."""

    n_images: NDArray[np.int64]
    """``(G,)`` number of images that see it or looked at a part of it."""
    partly_of: NDArray[np.int64]
    """``(P,)`` the object of each of `partly`, in ascending order."""
    partly: Outlines
    """``(P,)`` the ground that an image looked at, where that is not all of an object's; one per object and image."""


def watch(united: Outlines, alike: NDArray[np.int64], sights: Sights, trusted: TrustedAreas) -> Watched:
    """Find the images that observed objects.

    Args:
        united: ``(G,)`` the ground of each object.
        alike: ``(G,)`` year and models of each.
        sights: What images see of them.
        trusted: The trusted areas.

    Notes:
        An image that sees an object looked at what it sees of it, also beyond its trusted area.
    """
    which, where, is_all, pieces = _looks(united, alike, trusted)
    sole = np.bincount(sights.objects, minlength=len(united))[sights.objects] == 1
    images = np.concatenate([sights.images, trusted.images[where]])
    objects = np.concatenate([sights.objects, which])
    looked_at_all = np.concatenate([sole, is_all])
    ground = np.concatenate([sights.outlines, pieces])
    groups = groups_of(objects * (int(images.max(initial=0)) + 1) + images)
    of_group = objects[groups.firsts]
    is_partly = groups.total(looked_at_all.astype("float64")) == 0
    partly_of, partly = of_group[is_partly], unite(ground, groups[is_partly])
    gaps = shapely.area(partly) < _ALL * shapely.area(united[partly_of])
    return Watched(np.bincount(of_group, minlength=len(united)), partly_of[gaps], partly[gaps])


def _looks(
    united: Outlines, alike: NDArray[np.int64], trusted: TrustedAreas
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], Outlines]:
    """Object and area of each look, whether it is at all of the object, and at what else."""
    where, which = shapely.STRtree(united).query(trusted.outlines)
    same = trusted.alike[where] == alike[which]
    where, which = where[same], which[same]
    shapely.prepare(trusted.outlines)
    is_all = shapely.covers(trusted.outlines[where], united[which])
    near = ~is_all
    near[near] = shapely.intersects(trusted.outlines[where[near]], united[which[near]])
    pieces = np.full(len(which), shapely.MultiPolygon(), dtype=object)
    pieces[near] = intersect(united[which[near]], trusted.outlines[where[near]])
    looked = is_all | (shapely.area(pieces) > 0)
    order = np.lexsort((where[looked], which[looked]))
    return which[looked][order], where[looked][order], is_all[looked][order], pieces[looked][order]
