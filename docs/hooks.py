"""Tables in the documentation that are made from the code, so that they cannot disagree with it."""

import math
from typing import Any

from darts_utils.variables import VARIABLES

MARKER = "<!-- table of variables -->"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return "NaN" if math.isnan(value) else f"{value:g}"


def variable_table() -> str:
    """Markdown table of the variable registry."""
    lines = ["| after | variable | dtype | unit | from | to | nodata | meaning |", "|---|---|---|---|---|---|---|---|"]
    for row in VARIABLES.values():
        name = f"`{row.name}`" + (f", `{row.name}-<model>`" if row.per_model else "")
        cells = [
            row.stage,
            name,
            row.dtype,
            row.units,
            _number(row.valid_min),
            _number(row.valid_max),
            _number(row.nodata),
            row.long_name,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return markdown.replace(MARKER, variable_table())
