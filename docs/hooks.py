"""Tables in the documentation that are made from the code, so that they cannot disagree with it."""

import dataclasses
import inspect
import math
from typing import Any, get_args, get_type_hints

from darts_nextgen.commands.options import OF_THE_COMMAND
from darts_nextgen.commands.run import run
from darts_nextgen.pipeline.config import RunConfig
from darts_nextgen.pipeline.sections import SECTIONS, section_keys
from darts_utils.variables import VARIABLES


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return "NaN" if math.isnan(value) else f"{value:g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def variable_table() -> str:
    """Markdown table of the variable registry."""
    rows = []
    for row in VARIABLES.values():
        name = f"`{row.name}-<percent>`" if row.per_threshold else f"`{row.name}`"
        name += f", `{row.name}-<model>`" if row.per_model else ""
        numbers = [_number(value) for value in (row.valid_min, row.valid_max, row.nodata)]
        rows.append([row.stage, name, row.dtype, row.units, *numbers, row.long_name])
    return _table(["after", "variable", "dtype", "unit", "from", "to", "nodata", "meaning"], rows)


def _default(owner: Any, name: str) -> str:
    (field,) = (each for each in dataclasses.fields(owner) if each.name == name)
    if field.default is dataclasses.MISSING or field.default in (None, ()):
        return "–"
    return f"`{', '.join(field.default) if isinstance(field.default, tuple) else field.default}`"


def option_table() -> str:
    """Markdown table of the options of ``darts run`` that are keys of a configuration."""
    sections = {key: section for section in SECTIONS for key in section_keys(section)}
    hints = get_type_hints(run, include_extras=True)
    types = get_type_hints(RunConfig)
    rows = []
    for name in inspect.signature(run).parameters:
        if name in {"context", *OF_THE_COMMAND}:
            continue
        section = sections.get(name)
        _, option = get_args(hints[name])
        rows.append(
            [
                f"`--{name.replace('_', '-')}`",
                f"`[{section}]` `{name}`" if section else f"`{name}`",
                _default(types[section] if section else RunConfig, name),
                option.help,
            ]
        )
    return _table(["option", "key", "default", "meaning"], rows)


TABLES = {
    "<!-- table of variables -->": variable_table,
    "<!-- options of darts run -->": option_table,
}
"""Marker in a page → what stands in its place."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    for marker, table in TABLES.items():
        if marker in markdown:
            markdown = markdown.replace(marker, table())
    return markdown
