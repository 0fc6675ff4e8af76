"""Tables to dataclasses and back, and what is refused."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from darts_utils.config_tables import check_keys, parse_table, plain_table
from darts_utils.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Inner:
    number: float = 1.0

    def __post_init__(self):
        if self.number < 0:
            raise ConfigError("number must not be negative")


@dataclasses.dataclass(frozen=True)
class Outer:
    flag: bool = False
    kind: Literal["a", "b"] = "a"
    inner: Inner = dataclasses.field(default_factory=Inner)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    path: Path | None = None


def test_tables_and_dataclasses():
    table = {"flag": True, "kind": "b", "inner": {"number": 2}, "counts": {"x": 1}, "path": "p"}
    made = parse_table(Outer, table)
    assert made == Outer(flag=True, kind="b", inner=Inner(2.0), counts={"x": 1}, path=Path("p"))
    assert isinstance(made.inner.number, float)
    assert parse_table(Outer, plain_table(made)) == made
    assert plain_table(Outer()) == {"flag": False, "kind": "a", "inner": {"number": 1.0}, "counts": {}}
    assert parse_table(Outer, {"inner": Inner(3.0), "path": None}) == Outer(inner=Inner(3.0))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "c"}, "kind must be one of 'a', 'b', but got 'c'"),
        ({"flag": 1}, "flag must be true or false, but got 1"),
        ({"inner": {"number": -1}}, r"\[inner\]: number must not be negative"),
        ({"inner": {"nummber": 1}}, r"unknown key 'nummber' in \[inner\]: did you mean 'number'"),
        ({"counts": {"x": "one"}}, "counts.x must be a whole number, but got 'one'"),
        ({"path": 3}, "path must be a path, but got 3"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_table(Outer, table)


def test_an_entry_of_a_list_is_named_by_its_place():
    with pytest.raises(ConfigError, match=r"sizes\[1\] must be a whole number, but got 'two'"):
        parse_table(Kinds, {"needed": 1, "sizes": [1, "two"]})


@dataclasses.dataclass(frozen=True)
class Kinds:
    sizes: tuple[int, ...] = ()
    either: int | float = 0
    maybe: float | None = None
    anything: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    needed: int = dataclasses.field(kw_only=True)


def test_one_of_several_types_stays_what_it_is():
    assert [type(parse_table(Kinds, {"needed": 1, "either": value}).either) for value in (2, 2.0)] == [int, float]
    assert parse_table(Kinds, {"needed": 1, "maybe": 2}).maybe == 2.0
    with pytest.raises(ConfigError, match="either must be a number, but got true"):
        parse_table(Kinds, {"needed": 1, "either": True})
    with pytest.raises(ConfigError, match="either must be a number, but got None"):
        parse_table(Kinds, {"needed": 1, "either": None})


def test_one_value_is_a_list_of_one_and_what_is_needed_is_asked_for():
    assert parse_table(Kinds, {"needed": 1, "sizes": 3}).sizes == (3,)
    with pytest.raises(ConfigError, match="the configuration must have needed"):
        parse_table(Kinds, {})


def test_tables_without_a_type_are_kept_and_none_in_them_is_left_out():
    made = parse_table(Kinds, {"needed": 1, "anything": {"a": [1, {"b": 2}], "c": None}})
    assert made.anything == {"a": [1, {"b": 2}], "c": None}
    assert plain_table(made) == {"sizes": [], "either": 0, "anything": {"a": [1, {"b": 2}]}, "needed": 1}


def test_a_key_of_another_table_is_found_there():
    with pytest.raises(ConfigError, match=r"unknown key 'tresh' in \[a\]: did you mean 'thresh' in \[b\]\?"):
        check_keys({"tresh": 1}, ["mask"], where="[a]", elsewhere={"[b]": ["thresh"]})
    with pytest.raises(ConfigError, match=r"unknown key 'x' in \[a\]: expected one of mask, size"):
        check_keys({"x": 1}, ["size", "mask"], where="[a]")
