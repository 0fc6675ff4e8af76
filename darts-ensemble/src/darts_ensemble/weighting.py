"""Names and weights of the members of an ensemble: what they may be; imports no torch."""

import math
import sys
from collections.abc import Collection, Mapping
from numbers import Real

from darts_utils.errors import ConfigError


def check_member_names(members: Collection[str]) -> None:
    """Raise if there is no member, or one whose name cannot be part of ``probabilities-<name>``.

    Raises:
        ConfigError: Lists the names.
    """
    if not members:
        raise ConfigError("expected at least one member of the ensemble, but got none")
    unusable = [member for member in members if not isinstance(member, str) or not member or "/" in member]
    if unusable:
        raise ConfigError(f"expected names without '/' for the members of an ensemble, but got {unusable}: rename them")


def checked_weights(weights: Mapping[str, float] | None, members: Collection[str]) -> dict[str, float]:
    """Return the weight of each member, in the order of the members.

    Args:
        weights: Name → finite number above 0 (Python's or NumPy's), one for each member; None weighs all the same.
        members: Names of the members.

    Raises:
        ConfigError: The weights do not match the members, or one is no such number.
    """
    if weights is None:
        return dict.fromkeys(members, 1.0)
    known = ", ".join(members)
    unknown = [str(member) for member in weights if member not in members]
    if unknown:
        raise ConfigError(
            f"expected weights for the members {known}, but got one for {', '.join(unknown)}: correct the name"
        )
    absent = [member for member in members if member not in weights]
    if absent:
        raise ConfigError(f"expected a weight for each of {known}, but {', '.join(absent)} has none: name it")
    for member, weight in weights.items():
        if not _is_weight(weight):
            raise ConfigError(
                f"expected the weight of {member!r} to be a finite number above 0, but got {weight!r}: leave a member out "
                "to ignore it"
            )
    return {member: float(weights[member]) for member in members}


def parse_weights(text: str) -> dict[str, float]:
    """Read weights as the command line gives them; an empty text gives none.

    Args:
        text: ``"name=number"``, separated by commas.

    Raises:
        ConfigError: The text is something else, or a name comes twice.

    Examples:
        >>> parse_weights("full=2, optical=0.5")
        {'full': 2.0, 'optical': 0.5}
    """
    if not text.strip():
        return {}
    pairs = [part.strip().rpartition("=") for part in text.split(",")]
    try:
        weights = {name.strip(): float(number) for name, _, number in pairs}
    except ValueError as error:
        raise ConfigError(f"--weights: expected names and numbers like full=2,optical=1, but got {text!r}") from error
    if len(weights) < len(pairs):
        raise ConfigError(f"--weights: expected each name once, but got {text!r}")
    return weights


def relative_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights as shares of the largest one, so that their sum cannot overflow; none becomes 0.

    Examples:
        >>> relative_weights({"full": 1e308, "optical": 5e307})
        {'full': 1.0, 'optical': 0.5}
    """
    largest = max(weights.values())
    return {member: max(weight / largest, sys.float_info.min) for member, weight in weights.items()}


def _is_weight(weight: object) -> bool:
    if isinstance(weight, bool) or not isinstance(weight, Real):  # NumPy's numbers are Real, its truth values are not
        return False
    try:
        return math.isfinite(weight) and float(weight) > 0
    except OverflowError:  # a whole number too large for a float
        return False
