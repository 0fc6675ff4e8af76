"""Tables of a training's TOML file to configs: a list is written as one, and messages name a key and the table it stands in."""

from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from darts_utils.config_tables import TableParser, called, is_table

T = TypeVar("T")

_WORDS: Mapping[Any, str] = {bool: "true or false", str: "text"}


def parse_table(cls: type[T], table: Mapping[str, Any], *, name: str = "") -> T:
    """Make a config from a plain table, as TOML gives it.

    Args:
        cls: A frozen dataclass of simple values and of such dataclasses.
        table: Keys and values; what is left out keeps its default.
        name: Of the table, for messages; empty: it is the whole configuration.

    Returns:
        The config.

    Raises:
        ConfigError: Names the unknown key and the nearest valid one, or the key whose value has the wrong type or size.

    Examples:
        >>> from darts_train_utils.config import LossConfig, TrainUtilsConfig
        >>> parse_table(TrainUtilsConfig, {"loss": {"dice": 0.5}}).loss.dice
        0.5
        >>> parse_table(LossConfig, {"dize": 1.0}, name="loss")
        Traceback (most recent call last):
        darts_utils.errors.ConfigError: unknown key 'dize' in [loss]: did you mean 'dice'?
    """
    return _TrainingTableParser().parse_table(cls, table, name=name)


class _TrainingTableParser(TableParser):
    takes_lone_values = False
    listing = "known are"

    def wrong(self, value: object, hint: Any, *, name: str, table: str) -> str:
        origin = get_origin(hint)
        if origin is Literal:
            wanted = " or ".join(map(repr, get_args(hint)))
        elif origin is None:
            wanted = _WORDS.get(hint, hint.__name__)
        else:
            wanted = "a table" if is_table(hint) else "a list"
        return f"expected {name} in {called(table)} to be {wanted}, but got {value!r}: correct it"

    def absent(self, names: Collection[str], given: Collection[str], *, table: str) -> str:
        has = ", ".join(given) or "nothing"
        return f"expected {called(table)} to have {', '.join(names)}, but it has {has}: add it"
