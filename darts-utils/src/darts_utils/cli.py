"""The ``darts`` command line: composed, when it is asked, of the commands that the installed packages announce.

A package announces a command in the entry-point group ``darts.cli``: the key is the command's name, of one word
(``preprocess``) or more (``model inspect``), the value a function with typer's annotations. Commands of several packages
may share their first word. ``darts --help`` reads the first lines of the docstrings without importing anything.
"""

import importlib.metadata
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from darts_utils.errors import DartsError
from darts_utils.logging import configure_logging
from darts_utils.plugins import command_entry_points, summary_of

EXIT_WRONG_USAGE = 2
"""Exit code of everything that stops a command: wrong options, a bad configuration, an output that cannot be written."""

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

_DEBUG = "--debug"
_BROKEN = (
    ImportError,
    AttributeError,
    NameError,
    SyntaxError,
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    OSError,
)
"""What the import of a package of others may raise."""


class CommandGroup(TyperGroup):
    """Commands found through entry points, imported when they are needed; errors in one line."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the installed commands, in alphabetical order."""
        return sorted(command_entry_points())

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write name and summary of each command, without importing it."""
        _write_commands(command_entry_points(), formatter)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the function of a command and wrap it; None where no package announces it."""
        entry = command_entry_points().get(cmd_name)
        if entry is None:
            return None
        program = typer.Typer(add_completion=False, rich_markup_mode=None)
        program.command(cmd_name, context_settings=_HELP_OPTIONS)(_function_of(entry))
        return typer.main.get_command(program)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command whose name has most of the leading words."""
        names = command_entry_points()
        longest = max(len(name.split()) for name in names)
        for words in range(min(longest, len(args)), 0, -1):
            name = " ".join(args[:words])
            if name in names:
                return name, self.get_command(ctx, name), args[words:]
        longer = {name: entry for name, entry in names.items() if " " in name and name.split()[0] == args[0]}
        if longer and args[-1] in _HELP_OPTIONS["help_option_names"]:
            formatter = ctx.make_formatter()
            _write_commands(longer, formatter)
            typer.echo(formatter.getvalue().rstrip())
            raise typer.Exit
        if longer:
            raise TyperException(
                f"expected one of the commands {', '.join(sorted(longer))}, but got {' '.join(args)!r}"
            )
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run the command line; expected errors become one line on standard error and an exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        debug = _DEBUG in arguments
        if debug:  # it may stand before and after the command's name
            arguments = [_DEBUG, *(each for each in arguments if each != _DEBUG)]
        try:
            code = super().main(arguments, *rest, **{**options, "standalone_mode": False})
        except (DartsError, TyperException, OSError, UnicodeError) as error:
            if debug:
                traceback.print_exc()
            _fail(error.format_message() if isinstance(error, TyperException) else str(error))
        if code == EXIT_INTERRUPTED:
            typer.echo("darts: interrupted; what is complete stays", err=True)
        sys.exit(code if isinstance(code, int) else 0)


def _write_commands(commands: Mapping[str, importlib.metadata.EntryPoint], formatter: Any) -> None:
    with formatter.section("Commands"):
        formatter.write_dl([(name, summary_of(entry)) for name, entry in sorted(commands.items())])


def _function_of(entry: importlib.metadata.EntryPoint) -> Any:
    """The function of a command; one that reports the damage where its package is broken, so that the others work."""
    try:
        return entry.load()
    except _BROKEN as error:
        message = (
            f"command {entry.name!r} is provided by {entry.value!r}, which cannot be imported ({error}): reinstall it"
        )

    def broken(arguments: Annotated[list[str] | None, typer.Argument()] = None) -> None:
        _fail(message)

    broken.__doc__ = "(cannot be imported)"
    return broken


def _fail(message: str) -> NoReturn:
    typer.echo(f"darts: error: {' '.join(message.split())}", err=True)
    sys.exit(EXIT_WRONG_USAGE)


def _print_version(wanted: Any) -> None:
    if wanted:
        typer.echo(f"darts {importlib.metadata.version('darts-utils')}")
        raise typer.Exit


_HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=CommandGroup,
    context_settings=_HELP_OPTIONS,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def darts(
    context: typer.Context,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Log details and timings, and show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Map retrogressive thaw slumps in satellite images of the Arctic."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(EXIT_WRONG_USAGE)
    configure_logging(debug=debug)


def main() -> None:
    """Run the command line of this process."""
    app()
