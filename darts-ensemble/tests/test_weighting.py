import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_ensemble.weighting import check_member_names, checked_weights, parse_weights, relative_weights
from darts_utils.errors import ConfigError

MEMBERS = ("full", "optical")


def test_without_weights_all_weigh_the_same():
    assert checked_weights(None, MEMBERS) == {"full": 1.0, "optical": 1.0}


def test_weights_come_in_the_order_of_the_members():
    assert list(checked_weights({"optical": 2, "full": 0.5}, MEMBERS).items()) == [("full", 0.5), ("optical", 2.0)]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.uint8, np.longdouble])
def test_numbers_of_numpy_are_weights_too(kind):
    weights = checked_weights({"full": kind(3), "optical": 1}, MEMBERS)
    assert weights == {"full": 3.0, "optical": 1.0}
    assert {type(weight) for weight in weights.values()} == {float}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"full": 1, "optical": 1, "old": 1}, "expected weights for the members full, optical, but got one for old"),
        ({"full": 1}, "expected a weight for each of full, optical, but optical has none"),
        ({"full": 1, "optical": 0}, "expected the weight of 'optical' to be a finite number above 0, but got 0"),
        ({"full": -1, "optical": 1}, "expected the weight of 'full' to be a finite number above 0, but got -1"),
        ({"full": float("nan"), "optical": 1}, "above 0, but got nan"),
        ({"full": float("inf"), "optical": 1}, "above 0, but got inf"),
        ({"full": np.float32("nan"), "optical": 1}, r"above 0, but got np.float32\(nan\)"),
        ({"full": 10**400, "optical": 1}, "above 0, but got 1000"),
        ({"full": "1", "optical": 1}, "above 0, but got '1'"),
        ({"full": True, "optical": 1}, "above 0, but got True"),
        ({"full": np.bool_(True), "optical": 1}, "above 0, but got np.True_"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, message):
    with pytest.raises(ConfigError, match=message):
        checked_weights(weights, MEMBERS)


def test_no_member_and_unusable_names_are_refused():
    check_member_names(["full", "a b"])
    with pytest.raises(ConfigError, match="expected at least one member"):
        check_member_names([])
    for name in ("a/b", "", 3):
        with pytest.raises(ConfigError, match=rf"without '/' for the members of an ensemble, but got \[{name!r}\]"):
            check_member_names(["full", name])


@given(st.lists(st.floats(5e-324, 1.7e308), min_size=1, max_size=20))
def test_relative_weights_have_a_sum_and_none_is_zero(weights):
    found = relative_weights(dict(enumerate(weights)))
    assert max(found.values()) == 1
    assert min(found.values()) > 0
    assert sum(found.values()) <= len(weights)


def test_weights_as_text():
    assert parse_weights("full=2, optical = 1e-1") == {"full": 2.0, "optical": 0.1}
    assert parse_weights("a=b=3") == {"a=b": 3.0}
    assert parse_weights(" ") == {}
    with pytest.raises(ConfigError, match="--weights: expected each name once, but got 'a=1,a=2'"):
        parse_weights("a=1,a=2")
    for text in ("a", "a=", "a=1,", "a=one"):
        with pytest.raises(ConfigError, match="--weights: expected names and numbers like full=2,optical=1, but got"):
            parse_weights(text)
