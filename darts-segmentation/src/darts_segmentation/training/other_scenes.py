"""Scenes that a store of patches holds from before, without being named: a training reads them like all others."""

import os
import warnings
from collections.abc import Collection
from pathlib import Path

from darts_train_utils.patch_store import stored_scenes
from darts_utils.errors import DartsWarning

_SHOWN = 5
"""Names of scenes in a message."""


def warn_of_others(out: str | os.PathLike[str], *, named: Collection[str]) -> None:
    """Warn of scenes of a store that nobody has named.

    Args:
        out: Folder of the store.
        named: The scenes that were prepared.

    Warns:
        DartsWarning: There are some; names the first of them, and says how they are forgotten.
    """
    others = [scene for scene in stored_scenes(out) if scene not in named]
    if not others:
        return
    listed = ", ".join(others[:_SHOWN]) + (" …" if len(others) > _SHOWN else "")
    warnings.warn(
        f"'{out}' also holds scenes that were not named this time ({listed}; {len(others)} in all), and a training learns from "
        f"them too: if it should not, remove their folders in '{Path(out) / 'scenes'}'",
        DartsWarning,
        stacklevel=3,
    )
