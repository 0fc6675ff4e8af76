"""Every error of DARTS, in one place.

Each message says what was expected, what came and what to do. Each class also inherits the built-in exception that a
Python programmer would expect, so ``except ValueError`` keeps its meaning.
"""

from collections.abc import Iterable


class DartsError(Exception):
    """Base of all errors that DARTS raises on purpose; the command line prints them as one line."""


class MissingVariableError(DartsError, KeyError):
    """A tile lacks variables that a verb or a model needs.

    Args:
        consumer: What needs the variables, as a user would name it, e.g. ``"binarize"`` or ``"model 'full'"``.
        missing: Names of the variables that are absent.
        tile_id: The tile's ``tile_id``.
        present: Names of the variables that the tile has.
        hint: What to do about it.
    """

    def __init__(
        self, consumer: str, missing: Iterable[str], *, tile_id: str, present: Iterable[str], hint: str
    ) -> None:
        self.missing = tuple(missing)
        wanted = ", ".join(repr(name) for name in self.missing)
        has = ", ".join(sorted(present)) or "no variables"
        self.message = f"{consumer} needs {wanted}; tile {tile_id!r} has {has}: {hint}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return self.message

    def __reduce__(self) -> tuple[object, ...]:  # survive the trip between processes
        return (_restore_message, (type(self), self.message, self.missing))


def _restore_message(cls: type[MissingVariableError], message: str, missing: tuple[str, ...]) -> MissingVariableError:
    error = cls.__new__(cls)
    error.message = message
    error.missing = missing
    error.args = (message,)
    return error


class TileContractError(DartsError, ValueError):
    """A dataset is not a tile: wrong dims, dtypes, coordinates or CRS."""


class GridMismatchError(DartsError, ValueError):
    """Arrays that must share one grid do not."""


class SceneError(DartsError, ValueError):
    """A scene folder or raster on disk cannot be used: incomplete, damaged or not what it claims to be."""


class NoOverlapError(SceneError):
    """A raster lies elsewhere than the grid that it was asked about."""


class SceneNotFoundError(DartsError, FileNotFoundError):
    """A path that should hold a scene or an auxiliary raster does not exist or holds nothing usable."""


class CheckpointError(DartsError, ValueError):
    """A model file cannot be used: damaged, incomplete, unsafe or for another architecture."""


class ModelAnswerError(DartsError, RuntimeError):
    """What a model made of a tile is not what models promise: its package is at fault, not its file."""


class UnknownFrameworkError(DartsError, LookupError):
    """No installed package provides the framework that a checkpoint names."""


class DeviceError(DartsError, RuntimeError):
    """The device that was named is not there."""


class OutputError(DartsError, OSError):
    """A result cannot be written: no permission, disk full, or the name is taken by something else."""


class ConfigError(DartsError, ValueError):
    """A configuration has an unknown key or a value that makes no sense."""


class TrainingDataError(DartsError, ValueError):
    """Labels, patches or splits from which nothing can be learnt, or no honest score comes."""


class TrainingError(DartsError, RuntimeError):
    """A training cannot go on: its loss is no number any more."""


class DartsWarning(UserWarning):
    """Base of the warnings of DARTS: the result is defined, but perhaps not what was hoped for.

    Args:
        message: What is to be known, in words.
        tile_id: The tile that it is about, where several are worked on together; None: whatever is being worked on.
    """

    def __init__(self, message: str = "", *, tile_id: str | None = None) -> None:
        super().__init__(message)
        self.tile_id = tile_id
