"""Which images can say something about an object, and about which of its ground.

An image that sees an object speaks of what it sees. That an object is not there can only be said by an image that would have
seen it: objects that leave the trusted area of a tile are dropped whole before they are exported, so where a cloud or the
end of a scene cuts a slump, nothing is seen of the rest either. So an image testifies against an object, or a part of it, only
if one of its tiles holds all of the object's ground within its trusted area, off its border. This is a cautious rule: where
edge objects are kept, images that look at a part could say more.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from darts_export.dataset.uniting import Outlines

_ALL = 1 - 1e-9
"""What an image sees is all of an object from this share on."""

_EDGE_M = 1.0
"""An object that comes nearer than this to the border of a trusted area is at it, and would have been dropped. Else a pixel lies
between them, which is larger; what a straight edge loses on its way to another map is smaller."""


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
    """``(G,)`` number of images that see it or a part of it, or would have seen it."""
    partly_of: NDArray[np.int64]
    """``(P,)`` the object of each of `partly`, in ascending order."""
    partly: Outlines
    """``(P,)`` the ground of which an image speaks, where that is not all of an object's; one per object and image."""


def watch(united: Outlines, alike: NDArray[np.int64], sights: Sights, trusted: TrustedAreas) -> Watched:
    """Find the images that observed objects.

    Args:
        united: ``(G,)`` the ground of each object.
        alike: ``(G,)`` year and models of each.
        sights: What images see of them; one per object and image.
        trusted: The trusted areas.

    Notes:
        An image that sees a part of an object and does not hold all of it speaks of that part alone, also beyond its trusted
        area.
    """
    which, where = _held(united, alike, trusted)
    count = int(max(sights.images.max(initial=0), trusted.images.max(initial=0))) + 1
    seen, held = sights.objects * count + sights.images, np.unique(which * count + trusted.images[where])
    observed = np.union1d(seen, held)
    gaps = ~np.isin(seen, held) & (shapely.area(sights.outlines) < _ALL * shapely.area(united[sights.objects]))
    n_images = np.bincount(observed // count, minlength=len(united))
    return Watched(n_images, sights.objects[gaps], sights.outlines[gaps])


def _held(
    united: Outlines, alike: NDArray[np.int64], trusted: TrustedAreas
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of an object and a trusted area that holds all of it, off its border."""
    where, which = shapely.STRtree(united).query(trusted.outlines)
    same = trusted.alike[where] == alike[which]
    where, which = where[same], which[same]
    shapely.prepare(trusted.outlines)
    inside = shapely.contains_properly(trusted.outlines[where], united[which])
    where, which = where[inside], which[inside]
    borders = shapely.boundary(trusted.outlines)
    shapely.prepare(borders)
    off = ~shapely.dwithin(borders[where], united[which], _EDGE_M)
    return which[off], where[off]
