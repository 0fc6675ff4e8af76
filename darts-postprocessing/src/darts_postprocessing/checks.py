"""Checks of options that several verbs share."""

import math
from numbers import Integral, Real
from typing import Any, get_args

from darts_postprocessing.config import EdgeObjects, MaskName, PostprocessingConfig


def check_options(options: PostprocessingConfig) -> None:
    """Raise ValueError unless every option makes sense, alone and beside the others."""
    check_threshold("threshold", options.threshold)
    check_high_threshold(options.high_threshold, threshold=options.threshold)
    for threshold in options.further_thresholds:
        check_threshold("each of further_thresholds", threshold)
    names = [percent_text(threshold) for threshold in options.further_thresholds]
    if len(set(names)) < len(names):
        raise ValueError(
            f"further_thresholds must differ by a millionth or more, but got {options.further_thresholds!r}: name each once"
        )
    check_choice("mask", options.mask, MaskName)
    check_choice("edge_objects", options.edge_objects, EdgeObjects)
    for name in ("radius_px", "edge_px", "min_object_px"):
        check_pixels(name, getattr(options, name))
    check_plausibility(options)


def check_pixels(name: str, value: object) -> None:
    """Raise ValueError unless a number of pixels is a whole number from 0 up (True and False are none)."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(f"{name} must be a whole number of pixels, 0 or more, but got {value!r}: 0 switches it off")


def check_threshold(name: str, threshold: object) -> None:
    """Raise ValueError unless a threshold is a number in 0 … 1 (NaN is not)."""
    if not _is_number(threshold, 0, 1):
        raise ValueError(
            f"{name} must be a probability between 0 and 1, but got {threshold!r}: divide percentages by 100"
        )


def check_high_threshold(high_threshold: float | None, *, threshold: float) -> None:
    """Raise ValueError unless the high threshold is a probability that is not below the other one, or None."""
    if high_threshold is None:
        return
    check_threshold("high_threshold", high_threshold)
    if high_threshold < threshold:
        raise ValueError(
            f"high_threshold must not be below threshold, but got {high_threshold!r} and {threshold!r}: exchange them"
        )


def check_plausibility(options: PostprocessingConfig) -> None:
    """Raise ValueError unless the limits of water and slope make sense."""
    if options.drop_water not in (True, False):
        raise ValueError(f"drop_water must be True or False, but got {options.drop_water!r}: choose one of them")
    _check_limit("water_max_ndvi", options.water_max_ndvi, -1, 1, "an NDVI between -1 and 1")
    _check_limit("water_max_nir", options.water_max_nir, 0, 1, "a reflectance between 0 and 1")
    _check_limit("max_implausible_share", options.max_implausible_share, 0, 1, "a share between 0 and 1")
    slopes = {name: getattr(options, name) for name in ("min_slope_deg", "max_slope_deg")}
    for name, slope in slopes.items():
        if slope is not None:
            _check_limit(name, slope, 0, 90, "an angle between 0 and 90 degrees, or None")
    if None not in slopes.values() and slopes["min_slope_deg"] > slopes["max_slope_deg"]:
        raise ValueError(
            f"min_slope_deg must not be above max_slope_deg, but got {slopes['min_slope_deg']!r} and "
            f"{slopes['max_slope_deg']!r}: exchange them"
        )


def check_choice(name: str, value: str, choices: Any) -> None:
    """Raise ValueError unless a word is one of those of a ``Literal``."""
    known = get_args(choices)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, but got {value!r}: choose one of them")


def percent_text(probability: float) -> str:
    """Write a probability as percent, as names of variables have it.

    Examples:
        >>> percent_text(0.29), percent_text(0.125)
        ('29', '12.5')
    """
    return f"{100 * probability:.4f}".rstrip("0").rstrip(".")


def parse_thresholds(text: str) -> tuple[float, ...]:
    """Read thresholds as a command line has them.

    Raises:
        ValueError: A part is no number.

    Examples:
        >>> parse_thresholds("0.3, 0.7")
        (0.3, 0.7)
    """
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"further_thresholds must be numbers like 0.3,0.7, but got {text!r}: use commas") from error


def _check_limit(name: str, value: object, lowest: float, highest: float, words: str) -> None:
    if not _is_number(value, lowest, highest):
        raise ValueError(f"{name} must be {words}, but got {value!r}: choose one in that range")


def _is_number(value: object, lowest: float, highest: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value) and lowest <= float(value) <= highest
