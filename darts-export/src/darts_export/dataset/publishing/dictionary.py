"""The data dictionary: what every column says, from the registry, for people and for programs."""

import csv
import io
import json
from collections.abc import Sequence

from darts_export.dataset.publishing.columns import Table

_HEADER = ("table", "column", "dtype", "unit", "description")


def dictionary_csv(tables: Sequence[Table]) -> str:
    """One line per column, with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows(
        (table.name, column.name, column.dtype, column.unit, column.description)
        for table in tables
        for column in table.columns
    )
    return buffer.getvalue()


def dictionary_json(tables: Sequence[Table]) -> str:
    """The tables with title, description, key and columns."""
    content = {
        table.name: {
            "title": table.title,
            "description": table.description,
            "key": list(table.key),
            "columns": [
                {"name": each.name, "dtype": each.dtype, "unit": each.unit or None, "description": each.description}
                for each in table.columns
            ],
        }
        for table in tables
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def dictionary_markdown(tables: Sequence[Table]) -> str:
    """A section per table."""
    lines = ["# Data dictionary", ""]
    for table in tables:
        key = ", ".join(f"`{name}`" for name in table.key)
        lines += [f"## {table.name}", "", f"{table.title}. {table.description} Key: {key}.", ""]
        lines += ["| column | type | unit | description |", "|---|---|---|---|"]
        lines += [f"| `{each.name}` | {each.dtype} | {each.unit} | {each.description} |" for each in table.columns]
        lines.append("")
    lines += ["Missing values are null. Units are UCUM's: `a` is a year, `1` a share.", ""]
    return "\n".join(lines)
