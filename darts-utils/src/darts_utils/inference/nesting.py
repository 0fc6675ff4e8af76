"""Whether what was read from a file is of a size that a program can walk through; imports no torch."""

from collections.abc import Mapping

from darts_utils.errors import CheckpointError

_DEEPEST = 64
_MOST = 1_000_000


def check_nesting(content: object) -> None:
    """Raise if tables and lists are nested without end, or hold more than memory could when they are printed.

    Files can name a list once and refer to it many times: ten lists, each of ten times the one before, fit into a few
    hundred bytes and hold ten thousand million numbers. Such a list may also refer to itself.

    Args:
        content: What a file holds; only tables, lists and tuples are looked into.

    Raises:
        CheckpointError: It is nested more than 64 levels deep, or has more than a million entries.
    """
    waiting, count = [(content, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        if not isinstance(value, Mapping | list | tuple):
            continue
        entries = list(value.values()) if isinstance(value, Mapping) else list(value)
        count += len(entries)
        if depth > _DEEPEST or count > _MOST:
            raise CheckpointError(
                f"expected tables and lists that are nested at most {_DEEPEST} levels deep and have at most {_MOST:,} entries, but "
                "got more: it is damaged, or made to fill the memory"
            )
        waiting += [(entry, depth + 1) for entry in entries]
