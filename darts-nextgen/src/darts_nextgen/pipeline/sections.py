"""The sections of a configuration: the options of each step, as the step's own package declares them."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from darts_export import export_tile
from darts_export.config import ExportConfig
from darts_nextgen.pipeline.resources import RayConfig
from darts_postprocessing import PostprocessingConfig, postprocess
from darts_preprocessing import PreprocessingConfig, preprocess
from darts_utils.errors import ConfigError
from darts_utils.inference.config import InferenceConfig

SECTIONS: Mapping[str, Callable[..., Any] | None] = MappingProxyType(
    {"preprocessing": preprocess, "inference": None, "postprocessing": postprocess, "export": export_tile, "ray": None}
)
"""The sections of a configuration and the verb that takes the options of each; inference and ray take their dataclass whole."""

_KINDS: Mapping[str, type[Any]] = {
    "preprocessing": PreprocessingConfig,
    "inference": InferenceConfig,
    "postprocessing": PostprocessingConfig,
    "export": ExportConfig,
    "ray": RayConfig,
}


def section_keys(section: str) -> tuple[str, ...]:
    """The keys of a section: those fields of its dataclass that its verb takes.

    Examples:
        >>> section_keys("preprocessing")
        ('tpi_outer_radius_m', 'tpi_inner_radius_m')
    """
    names = [row.name for row in dataclasses.fields(_KINDS[section])]
    verb = SECTIONS[section]
    return tuple(name for name in names if verb is None or name in inspect.signature(verb).parameters)


def section_options(config: object, section: str) -> dict[str, Any]:
    """The options of a section, as keyword arguments of its verb.

    Args:
        config: A configuration with this section.
        section: Its name.
    """
    values = getattr(config, section)
    return {name: getattr(values, name) for name in section_keys(section)}


def check_section(config: object, section: str) -> None:
    """Refuse options that would have no effect: the verb does not take them.

    Args:
        config: A configuration with this section.
        section: Its name.

    Raises:
        ConfigError: Names the first of them.
    """
    values = getattr(config, section)
    for row in dataclasses.fields(values):
        if row.name not in section_keys(section) and getattr(values, row.name) != row.default:
            raise ConfigError(
                f"{section}.{row.name} is not an option of a run, but got {getattr(values, row.name)!r}: "
                f"expected one of {', '.join(section_keys(section))}"
            )
