"""The ``_batched`` twins of stateless verbs."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

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
        >>> inspect.signature(double_batched)
        <Signature (numbers: collections.abc.Sequence[int], /, *, offset: int = 0) -> list[int]>
    """

    @functools.wraps(verb)
    def twin(items: Sequence[Item], /, *args: Options.args, **kwargs: Options.kwargs) -> list[Result]:
        return [verb(item, *args, **kwargs) for item in items]

    twin.__name__ = f"{verb.__name__}_batched"
    twin.__qualname__ = f"{verb.__qualname__}_batched"
    twin.__doc__ = f"Do `{verb.__name__}` for each item of a list, with the same options; returns a list."
    del twin.__wrapped__  # the signature is that of the twin, not of the verb
    signature = _signature_of_twin(verb)
    twin.__signature__ = signature  # type: ignore[attr-defined]
    twin.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    twin.__annotations__["return"] = signature.return_annotation
    return twin


def _signature_of_twin(verb: Callable[..., object]) -> inspect.Signature:
    signature = inspect.signature(verb)
    first, *options = signature.parameters.values()
    many: Any = Sequence
    items = inspect.Parameter(f"{first.name}s", inspect.Parameter.POSITIONAL_ONLY, annotation=many[first.annotation])
    results: Any = list
    return signature.replace(parameters=[items, *options], return_annotation=results[signature.return_annotation])
