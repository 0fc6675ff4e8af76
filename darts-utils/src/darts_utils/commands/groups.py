"""Step commands of models: small tiles go through the network together, and each still fails for itself."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import xarray as xr

from darts_utils.commands.steps import run_each, tile_files
from darts_utils.faults import attempt
from darts_utils.logging import get_logger
from darts_utils.tile_io import read_tile, write_tile

_logger = get_logger(__name__)

GROUP_PX = 2048 * 2048
"""Pixels of tiles that share the network's batches: as many as the largest batch has, which is that of a CUDA device. A tile of
this size fills it alone."""


class GroupedTiles:
    """Tiles that are read and predicted in groups, and asked for one by one, in order.

    Args:
        files: Tile files.
        verb: Tiles → tiles, in order.
        group_px: Tiles are gathered until they have as many pixels.
    """

    def __init__(
        self,
        files: Sequence[Path],
        verb: Callable[[list[xr.Dataset]], list[xr.Dataset]],
        *,
        group_px: int = GROUP_PX,
    ) -> None:
        self._waiting = list(files)
        self._verb = verb
        self._group_px = group_px
        self._read: dict[Path, xr.Dataset] = {}
        self._done: dict[Path, xr.Dataset] = {}

    def result(self, file: Path) -> xr.Dataset:
        """Return what became of a tile.

        Args:
            file: The next of the files.

        Raises:
            Exception: Whatever reading or the verb say about this tile; never about another one.
        """
        if file not in self._read and file not in self._done:
            self._start_group(file)
        if file in self._done:
            return self._done.pop(file)
        return self._verb([self._read.pop(file)])[0]

    def _start_group(self, file: Path) -> None:
        self._waiting = self._waiting[self._waiting.index(file) + 1 :]
        tiles = {file: read_tile(file)}
        while self._waiting and sum(tile.sizes["y"] * tile.sizes["x"] for tile in tiles.values()) < self._group_px:
            following = self._waiting[0]
            tile = attempt(partial(read_tile, following), step="read", logger=_logger).value
            if tile is None:
                break  # it is read again when its turn comes, and says what is wrong then
            tiles[self._waiting.pop(0)] = tile
        together = None
        if len(tiles) > 1:  # where they fail together, each is tried alone
            together = attempt(lambda: self._verb(list(tiles.values())), step="group", logger=_logger).value
        if together is None:
            self._read.update(tiles)
        else:
            self._done.update(zip(tiles, together, strict=True))


def run_model(
    verb: Callable[[list[xr.Dataset]], list[xr.Dataset]],
    paths: Sequence[Path],
    *,
    out: Path,
    title: str,
    group_px: int = GROUP_PX,
) -> int:
    """Read tile files, let a model predict them in groups, and write the results under the same names into a folder.

    Args:
        verb: Tiles → tiles, in order: a model's ``inference_batched`` with its options.
        paths: What the user named, see `darts_utils.commands.steps.tile_files`.
        out: Folder of the results; may be that of the inputs, whose files are then replaced.
        title: What is done, e.g. ``"segment"``.
        group_px: Tiles are gathered until they have as many pixels.

    Returns:
        Exit code: 0 all done, 1 some tiles failed.

    Raises:
        ConfigError: See `darts_utils.commands.steps.tile_files`.
    """
    files = tile_files(paths)
    tiles = GroupedTiles(files, verb, group_px=group_px)
    return run_each(
        files,
        lambda file: write_tile(tiles.result(file), out / file.name),
        name=lambda file: file.stem,
        title=title,
    )
