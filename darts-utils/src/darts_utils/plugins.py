"""Commands that the installed packages announce in the entry-point group ``darts.cli``."""

import ast
import importlib.metadata
import importlib.util
from pathlib import Path

COMMAND_GROUP = "darts.cli"
"""Entry-point group of commands: name, of one word or more → function with typer's annotations."""


def command_entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """Installed commands: name → entry point of the function."""
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=COMMAND_GROUP)}


def summary_of(entry: importlib.metadata.EntryPoint) -> str:
    """First line of a command's docstring, read from its source, so that nothing is imported.

    Args:
        entry: Entry point of the function.

    Returns:
        The line; one that says so where there is no such source or function.
    """
    try:
        module = ast.parse(_source_file(entry.module).read_text(encoding="utf-8"))
        found = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == entry.attr)
    except (OSError, ValueError, SyntaxError, StopIteration):
        return f"(cannot be read: {entry.value})"
    return (ast.get_docstring(found) or "").partition("\n")[0]


def _source_file(module: str) -> Path:
    """Source file of a module, found without importing the packages that it is in."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(module)
    if not inner:
        return Path(spec.origin)
    return Path(spec.origin).parent.joinpath(*inner).with_suffix(".py")
