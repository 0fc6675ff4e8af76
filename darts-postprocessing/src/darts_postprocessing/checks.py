"""Checks of options that several verbs share."""

from numbers import Integral, Real
from typing import Any, get_args

from darts_postprocessing.config import EdgeObjects, MaskName


def check_pixels(name: str, value: object) -> None:
    """Raise ValueError unless a number of pixels is a whole number from 0 up (True and False are none)."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(f"{name} must be a whole number of pixels, 0 or more, but got {value!r}: 0 switches it off")


def check_threshold(threshold: object) -> None:
    """Raise ValueError unless a threshold is a number in 0 … 1 (NaN is not)."""
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not 0 <= float(threshold) <= 1:
        raise ValueError(
            f"threshold must be a probability between 0 and 1, but got {threshold!r}: divide percentages by 100"
        )


def check_mask_name(mask: MaskName) -> None:
    """Raise ValueError unless the mask is a known one."""
    _check_choice("mask", mask, MaskName)


def check_edge_objects(edge_objects: EdgeObjects) -> None:
    """Raise ValueError unless the treatment of edge objects is a known one."""
    _check_choice("edge_objects", edge_objects, EdgeObjects)


def _check_choice(name: str, value: str, choices: Any) -> None:
    known = get_args(choices)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, but got {value!r}: choose one of them")
