"""``darts info``."""

import typer


def info() -> None:
    """Show versions, devices, model frameworks and commands."""
    from darts_nextgen.environment import describe_environment

    for title, rows in describe_environment().items():
        typer.echo(f"{title}:")
        for name, value in rows.items():
            typer.echo(f"  {name:<24} {value}")
