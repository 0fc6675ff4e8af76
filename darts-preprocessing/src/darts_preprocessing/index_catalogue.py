"""The spectral indices that blue, green, red and near infrared allow, from the catalogue of the package spyndex.

spyndex is imported on first use. Its formulas are text; here they are parsed into steps of arithmetic, and nothing in them can
be run as code.
"""

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from darts_utils.variables import Variable

BAND_SYMBOLS: Mapping[str, str] = MappingProxyType({"B": "blue", "G": "green", "R": "red", "N": "nir"})
"""What the catalogue calls the bands of a tile."""

Formula = Callable[[Mapping[str, Any]], Any]
"""From reflectances 0 … 1 by symbol to the index."""

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.Pow: operator.pow,
    }
)


@dataclass(frozen=True)
class SpectralIndex:
    """One index of the catalogue."""

    name: str
    """Name of its variable: that of the catalogue in lower case."""
    long_name: str
    """Its name in words."""
    formula: str
    """As the catalogue writes it."""
    symbols: tuple[str, ...]
    """The bands in it, of `BAND_SYMBOLS`."""
    compute: Formula
    """The formula as a function; constants have the catalogue's values."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Variables of a tile that it is made from."""
        return tuple(BAND_SYMBOLS[symbol] for symbol in self.symbols)


@functools.cache
def index_catalogue() -> Mapping[str, SpectralIndex]:
    """Every index that a tile's four bands allow, by the name of its variable.

    Indices that need another band, or a constant for which the catalogue has no value (such as the light that reaches the
    ground), are not there.

    Examples:
        >>> index_catalogue()["gndvi"].formula
        '(N-G)/(N+G)'
    """
    import spyndex

    constants = {name: each.default for name, each in spyndex.constants.items() if each.default is not None}
    found = {}
    for short_name, each in spyndex.indices.items():
        symbols = [symbol for symbol in each.bands if symbol in BAND_SYMBOLS]
        if {*each.bands} <= {*symbols, *constants}:
            compute = parse_formula(each.formula, constants=constants)
            name = short_name.lower()
            found[name] = SpectralIndex(name, each.long_name, each.formula, tuple(symbols), compute)
    return MappingProxyType(found)


def index_variable(name: str) -> Variable | None:
    """Row of the registry for a spectral index; None where there is no such index.

    Args:
        name: Name of a tile variable.
    """
    index = index_catalogue().get(name)
    if index is None:
        return None
    return Variable(name, "float32", "preprocessing", "optical", index.long_name, "1", nodata=float("nan"))


def parse_formula(formula: str, *, constants: Mapping[str, float]) -> Formula:
    """Turn a formula into a function.

    Args:
        formula: Numbers, symbols, ``+ - * / **`` and brackets.
        constants: Symbols with a value of their own; the others are bands.

    Raises:
        ValueError: The formula holds something else.

    Examples:
        >>> parse_formula("(N-R)/(N+R+L)", constants={"L": 0.5})({"N": 0.5, "R": 0.25})
        0.2
    """
    try:
        tree = ast.parse(formula, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"expected a formula of symbols and + - * / **, but got {formula!r}") from error
    return _step(tree, formula, constants)


def _step(node: ast.expr, formula: str, constants: Mapping[str, float]) -> Formula:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return lambda _: number
        case ast.Name(id=symbol) if symbol in constants:
            value = constants[symbol]
            return lambda _: value
        case ast.Name(id=symbol) if symbol in BAND_SYMBOLS:
            return lambda bands: bands[symbol]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _step(operand, formula, constants)
            return lambda bands: -inner(bands)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            apply = _OPERATORS[type(sign)]
            first, second = _step(left, formula, constants), _step(right, formula, constants)
            return lambda bands: apply(first(bands), second(bands))
    raise ValueError(
        f"expected a formula of symbols and + - * / **, but {ast.unparse(node)!r} in {formula!r} is something else"
    )
