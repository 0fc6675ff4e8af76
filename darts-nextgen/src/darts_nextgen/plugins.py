"""Commands that the installed packages announce in the entry-point group ``darts.cli``."""

import importlib.metadata

COMMAND_GROUP = "darts.cli"
"""Entry-point group of commands: name → function with typer's annotations."""


def command_entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """Installed commands: name → entry point of the function."""
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=COMMAND_GROUP)}
