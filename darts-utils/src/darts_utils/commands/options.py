"""From the options of a command to a configuration."""

import dataclasses
from collections.abc import Mapping
from typing import Any


def given_options(parameters: Mapping[str, Any], *, of: type) -> dict[str, Any]:
    """Pick what a user has given of a configuration; what is not given keeps its default, whose home is the configuration.

    Args:
        parameters: All parameters of the command, as ``typer.Context.params`` has them; None is not given.
        of: The configuration, a dataclass; parameters that are none of its fields are left out.

    Examples:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Options:
        ...     threshold: float = 0.5
        ...     mask: str = "quality"
        >>> given_options({"tiles": ["a.nc"], "threshold": 0.4, "mask": None}, of=Options)
        {'threshold': 0.4}
    """
    names = {field.name for field in dataclasses.fields(of)}
    return {name: value for name, value in parameters.items() if name in names and value is not None}
