import inspect

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
    assert "number" not in inspect.signature(twin).parameters
