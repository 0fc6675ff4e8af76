"""Probabilities to objects.

Five small verbs, and one that does them all; each takes a tile and returns a new one, and each has a ``_batched`` twin:

==========================  ===========================================================================
`erode_extent`              ``extent``: where the result is trusted, away from missing data and the border
`binarize`                  ``binarized_segmentation``: probabilities above a threshold, or above two (hysteresis)
`drop_edge_objects`         removes the objects that reach out of ``extent``, whole
`drop_implausible_objects`  removes the objects on water, on flat or on steep ground; off unless asked for
`remove_small_objects`      removes the objects of few pixels
`postprocess`               all of it, and ``probabilities_percent``; for the members of an ensemble and for
                            several thresholds too
==========================  ===========================================================================

An *object* is a set of pixels that touch by an edge or by a corner (8-connected). Objects are found before anything is
masked, so a mask drops or keeps an object whole and never cuts it. Defaults live in `PostprocessingConfig`. Everything
computes where the tile's arrays live, NumPy or CuPy.
"""

from darts_postprocessing.binarization import binarize, binarize_batched
from darts_postprocessing.config import PostprocessingConfig
from darts_postprocessing.extent import erode_extent, erode_extent_batched
from darts_postprocessing.objects import (
    drop_edge_objects,
    drop_edge_objects_batched,
    remove_small_objects,
    remove_small_objects_batched,
)
from darts_postprocessing.plausibility import drop_implausible_objects, drop_implausible_objects_batched
from darts_postprocessing.postprocessing import postprocess, postprocess_batched

__all__ = [
    "PostprocessingConfig",
    "binarize",
    "binarize_batched",
    "drop_edge_objects",
    "drop_edge_objects_batched",
    "drop_implausible_objects",
    "drop_implausible_objects_batched",
    "erode_extent",
    "erode_extent_batched",
    "postprocess",
    "postprocess_batched",
    "remove_small_objects",
    "remove_small_objects_batched",
]
