"""The ``_batched`` twins of stateless verbs."""

import functools
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Options = ParamSpec("Options")


def batched(
    verb: Callable[Concatenate[Item, Options], Result],
) -> Callable[Concatenate[Sequence[Item], Options], list[Result]]:
    """Make the twin of a verb that takes a list.

    Args:
        verb: Function whose first argument is one tile (or one folder).

    Returns:
        Function of a sequence of them with the same options, which hold for every item. Tiles may differ in shape,
        grid and CRS. The order is kept; an empty list gives an empty list.

    Examples:
        >>> def double(number: int, *, offset: int = 0) -> int:
        ...     return 2 * number + offset
        >>> double_batched = batched(double)
        >>> double_batched([1, 2], offset=1)
        [3, 5]
        >>> double_batched.__name__
        'double_batched'
    """

    @functools.wraps(verb)
    def twin(items: Sequence[Item], /, *args: Options.args, **kwargs: Options.kwargs) -> list[Result]:
        return [verb(item, *args, **kwargs) for item in items]

    twin.__name__ = f"{verb.__name__}_batched"
    twin.__qualname__ = f"{verb.__qualname__}_batched"
    twin.__doc__ = f"Do `{verb.__name__}` for each item of a list, with the same options; returns a list."
    del twin.__wrapped__  # the signature is that of the twin, not of the verb
    return twin
