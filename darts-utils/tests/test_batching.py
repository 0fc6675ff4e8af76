import inspect
from collections.abc import Sequence
from typing import get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from darts_utils.batching import batched


def scale(number: int, *, factor: int = 2) -> int:
    """Scale a number."""
    return factor * number


@given(st.lists(st.integers()), st.integers())
def test_the_twin_equals_a_loop(numbers, factor):
    assert batched(scale)(numbers, factor=factor) == [scale(number, factor=factor) for number in numbers]


def test_the_twin_speaks_for_itself():
    twin = batched(scale)
    assert twin.__name__ == "scale_batched"
    assert "`scale`" in twin.__doc__
    assert (
        str(inspect.signature(twin)) == "(numbers: collections.abc.Sequence[int], /, *, factor: int = 2) -> list[int]"
    )
    assert get_type_hints(twin) == {"numbers": Sequence[int], "factor": int, "return": list[int]}
