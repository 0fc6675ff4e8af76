"""What a model file is, what it needs and how its inputs were scaled, in words; imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from darts_utils.inference.normalization import Normalization, Scaling, parse_normalization
from darts_utils.variables import OPTICAL_BANDS, REFLECTANCE_UNIT, VARIABLES

_GENERATIONS = {(0.0, 3000.0): "DN/3000", (-1000.0, 6000.0): "(reflectance + 0.1)/0.6"}
"""Offset and divisor of the bands, in tile units → what the generation of models is called."""

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Endings of the names of what a network keeps but does not learn."""


class _CheckpointLike(Protocol):
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def statedict(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class ModelDescription:
    """A model file in words."""

    framework: str
    """Key of the entry-point group ``darts.models``."""
    architecture: str
    """Architecture of the network, as its framework names it."""
    encoder: str | None
    """Its encoder; None where the framework has none."""
    network: Mapping[str, Any]
    """All arguments of the network."""
    inputs: Mapping[str, str]
    """Input variable → its scaling in words, in channel order."""
    trained_on: str
    """The scaling of the optical bands in one phrase."""
    needs: Sequence[str]
    """What preprocessing must be given beside the scene: ``"an elevation model"``, ``"TCVIS trends"``."""
    patch_px: int
    """Edge length of the patches that it was trained on."""
    parameters: int
    """Number of learned weights."""
    stored_as: Sequence[str]
    """Types of the weights in the file."""
    converted_from: Mapping[str, Any] | None
    """The older shape that the file had, and what it stated; None for one of today's."""
    notes: Mapping[str, Any]
    """Everything else in the config: name, record of the training, metrics."""

    def to_json(self) -> dict[str, Any]:
        """Return the description as plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the description as lines of text."""
        width = max(map(len, self.inputs))
        about = f"{self.architecture}, encoder {self.encoder}" if self.encoder else self.architecture
        lines = [
            f"framework    {self.framework}",
            f"network      {about}; {self.parameters:,} parameters, stored as {', '.join(self.stored_as)}",
            f"trained on   {self.trained_on}; patches of {self.patch_px} px",
            f"needs        {' and '.join(('a preprocessed scene', *self.needs))}",
            "inputs",
            *(f"  {name:{width}}  {words}" for name, words in self.inputs.items()),
        ]
        if self.converted_from is not None:
            chosen = self.converted_from.get("legacy_normalization")
            said = f", inputs as stated by the user: {chosen}" if chosen else ""
            lines.append(f"older shape  {self.converted_from.get('shape', 'unknown')}{said}")
        return [*lines, *_outline(self.notes)]


def describe_checkpoint(checkpoint: _CheckpointLike) -> ModelDescription:
    """Say what a model file is.

    Args:
        checkpoint: A `darts_utils.inference.Checkpoint`.

    Raises:
        CheckpointError: Its normalisation is missing or malformed.
    """
    config = checkpoint.config
    normalization = parse_normalization(config, variables=config["input_combination"])
    model = config["model"]
    told = {"model_framework", "model", "input_combination", "patch_size", "normalization", "converted_from"}
    return ModelDescription(
        framework=str(config["model_framework"]),
        architecture=str(model.get("arch", "unnamed network")),
        encoder=None if model.get("encoder_name") is None else str(model["encoder_name"]),
        network=dict(model),
        inputs={name: scaling_in_words(name, scaling) for name, scaling in normalization.scalings.items()},
        trained_on=_trained_on(normalization),
        needs=_needs(normalization.variables),
        patch_px=int(config["patch_size"]),
        parameters=sum(
            tensor.numel() for name, tensor in checkpoint.statedict.items() if not str(name).endswith(_STATISTICS)
        ),
        stored_as=sorted({str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.statedict.values()}),
        converted_from=config.get("converted_from"),
        notes={str(key): value for key, value in config.items() if key not in told},
    )


def scaling_in_words(name: str, scaling: Scaling) -> str:
    """Say how a variable becomes a channel.

    Examples:
        >>> scaling_in_words("red", Scaling(0.0, 1 / 3000))
        'DN/3000, where DN is reflectance × 10 000; clipped to 0 … 1'
        >>> scaling_in_words("ndvi", Scaling(-1.0, 0.5, clip=False))
        '(ndvi + 1)/2; not clipped'
    """
    divisor = 1 / scaling.scale
    clipped = "clipped to 0 … 1" if scaling.clip else "not clipped"
    if name in OPTICAL_BANDS and scaling.offset == 0:
        return f"DN/{divisor:.6g}, where DN is reflectance × 10 000; {clipped}"
    if name in OPTICAL_BANDS:
        return f"{_fraction('reflectance', scaling.offset / REFLECTANCE_UNIT, divisor / REFLECTANCE_UNIT)}; {clipped}"
    row = VARIABLES.get(name)
    unit = f", in {row.units}" if row is not None and row.units not in {"1", ""} else ""
    return f"{_fraction(name, scaling.offset, divisor)}{unit}; {clipped}"


def _trained_on(normalization: Normalization) -> str:
    bands = {name: scaling for name, scaling in normalization.scalings.items() if name in OPTICAL_BANDS}
    if not bands:
        return "no optical bands"
    words = dict.fromkeys(
        _GENERATIONS.get((round(scaling.offset, 3), round(1 / scaling.scale, 3)))
        or scaling_in_words(name, scaling).partition(",")[0].partition(";")[0]
        for name, scaling in bands.items()
    )
    return ", ".join(words) + (" (each band its own)" if len(words) > 1 else "")


def _needs(variables: Sequence[str]) -> tuple[str, ...]:
    origins = {VARIABLES[name].origin for name in variables if name in VARIABLES}
    names = {"dem": "an elevation model", "tcvis": "TCVIS trends"}
    return tuple(words for origin, words in names.items() if origin in origins)


def _fraction(name: str, offset: float, divisor: float) -> str:
    top = f"({name} {'-' if offset > 0 else '+'} {abs(offset):.6g})" if offset else name
    return top if divisor == 1 else f"{top}/{divisor:.6g}"


def _outline(table: Mapping[str, Any], *, indent: int = 0) -> list[str]:
    """Nested tables as indented lines."""
    lines: list[str] = []
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{'  ' * indent}{key}", *_outline(value, indent=indent + 1)]
        else:
            lines.append(f"{'  ' * indent}{key}: {_shown(value)}")
    return lines


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
