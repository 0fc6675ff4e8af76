"""Where the median probability of the images of a year is at least one half.

The answer of an image for a place that it observes (`darts_export.dataset.watching`) is the ``probability_median`` of the object
that it sees there, or 0 where it sees none. A place belongs to the footprint where the median of the answers is at least 0.5; of an even number of answers, it
is the lower of the two in the middle that counts. So a place belongs where more than half of the images that observe it see an
object there whose median probability is at least 0.5. Two images that disagree give no footprint.
"""

import numpy as np
import shapely
from numpy.typing import NDArray

from darts_export.dataset.grouping import groups_of
from darts_export.dataset.uniting import Outlines, areal, covered_by_at_least
from darts_export.dataset.watching import Sights, Watched

LEAST_PROBABILITY = 0.5
"""What the median must be at least."""

_MOST_LAYERS = 8
"""Objects that more images see are cut into faces instead."""


def median_footprints(united: Outlines, strong: Sights, watched: Watched) -> Outlines:
    """Draw the median footprints of objects.

    Args:
        united: ``(G,)`` the ground of each object.
        strong: What each image sees of them, objects of a median probability of at least `LEAST_PROBABILITY` only.
        watched: The images that observed them.

    Returns:
        ``(G,)`` outlines in normal form, perhaps empty.
    """
    found = np.full(len(united), shapely.MultiPolygon(), dtype=object)
    seen = groups_of(strong.objects)
    objects = strong.objects[seen.firsts]
    needed = watched.n_images[objects] // 2 + 1
    has_gaps = np.isin(objects, watched.partly_of)
    # Where all images observe all the ground, counting outlines is enough.
    plain = ~has_gaps & (seen.sizes <= _MOST_LAYERS)
    found[objects[plain]] = covered_by_at_least(strong.outlines, seen[plain], needed[plain])
    partly = groups_of(watched.partly_of)
    of_object = dict(zip(watched.partly_of[partly.firsts].tolist(), partly.lists(), strict=True))
    for index in np.flatnonzero(~plain & ((seen.sizes >= needed) | has_gaps)).tolist():
        start, number = seen.starts[index], int(objects[index])
        outlines = strong.outlines[seen.members[start : start + seen.sizes[index]]]
        ground = watched.partly[of_object.get(number, np.empty(0, dtype="int64"))]
        found[number] = _by_faces(outlines, ground, everywhere=int(watched.n_images[number]) - len(ground))
    normal: Outlines = shapely.normalize(found)
    return normal


def _by_faces(outlines: NDArray[np.object_], partly: NDArray[np.object_], *, everywhere: int) -> shapely.Geometry:
    """Cut the ground into faces that the same images see and observe, and ask at a point in each."""
    lines = shapely.union_all(shapely.boundary(np.concatenate([outlines, partly])))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    places = shapely.point_on_surface(faces)
    seeing = np.sum([shapely.intersects(outline, places) for outline in outlines], axis=0)
    observing = everywhere + np.sum([shapely.intersects(ground, places) for ground in partly], axis=0)
    chosen = faces[(seeing > 0) & (2 * seeing > observing)]
    return areal(np.array([shapely.union_all(chosen)], dtype=object))[0]
