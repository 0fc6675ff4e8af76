"""Commands that need the extra ``[train]`` when they run; typer's annotations and nothing heavy outside their bodies."""
