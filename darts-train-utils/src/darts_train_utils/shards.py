"""Arrays of patches in Zarr v3: a patch a chunk, many chunks a file (shard), each chunk with its checksum.

Any Zarr library reads them. Here a patch is one read of the bytes that the shard's index names, and one decompression, without
an event loop: with the small chunks of a training that is most of the time. Refused is what was not written here.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import numpy as np
import zarr
from numcodecs.blosc import Blosc  # type: ignore[import-untyped]
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from darts_utils.errors import TrainingDataError

_SHARD_BYTES = 2**26
"""Values of a shard before compression: what a writer holds at a time."""
_CHECKSUM_BYTES = 4
_CODECS = ["bytes", "blosc", "crc32c"]
_BLOSC = Blosc()


class PatchStack(Protocol):
    """Patches that are made when they are asked for, or an array ``(N, …)``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, H, W)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""

    def __getitem__(self, patches: slice, /) -> NDArray[Any]:
        """Return some of them: ``(n, H, W)``."""


def create_array(
    group: zarr.Group,
    name: str,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    shard: int,
    attributes: dict[str, Any],
) -> Any:
    """Create an array for patches.

    Args:
        group: Where.
        name: Of the array.
        shape: ``(N, …)``.
        dtype: Of the values.
        shard: Patches in a file, see `shard_slices`.
        attributes: What stands beside it.

    Returns:
        The Zarr array; to be written shard by shard.
    """
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(1, *shape[1:]),
        shards=(shard, *shape[1:]),
        compressors=[BloscCodec(cname="lz4", clevel=5), Crc32cCodec()],  # 9 % larger than zstd, read twice as fast
        attributes=attributes,
        config={"write_empty_chunks": True},
    )


def shard_slices(count: int, patch_bytes: int) -> tuple[int, Iterator[slice]]:
    """Decide how many patches are in a file.

    Args:
        count: Of patches.
        patch_bytes: Of one, all variables together.

    Returns:
        That number, and the patches of each file.
    """
    shard = min(count, max(1, _SHARD_BYTES // patch_bytes))
    return shard, (slice(start, min(start + shard, count)) for start in range(0, count, shard))


class ShardedArray:
    """Reads the patches of one array; cheap to send to another process.

    Args:
        folder: Of the array.

    Raises:
        TrainingDataError: It is not there, or not of the kind that `create_array` makes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            metadata = json.loads((folder / "zarr.json").read_bytes())
            (sharding,) = metadata["codecs"]
            inner = sharding["configuration"]
            kinds = [codec["name"] for codec in inner["codecs"]], sharding["name"], inner["index_location"]
            self.dtype = np.dtype(metadata["data_type"])
            self.shape: tuple[int, ...] = tuple(inner["chunk_shape"][1:])
            self._shard = int(metadata["chunk_grid"]["configuration"]["chunk_shape"][0])
            self.attributes: dict[str, Any] = metadata["attributes"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise TrainingDataError(f"cannot read '{folder}' ({error}): prepare the scene anew") from error
        if kinds != (_CODECS, "sharding_indexed", "end"):
            raise TrainingDataError(
                f"expected '{folder}' to be sharded and compressed by {', '.join(_CODECS)}, but got {kinds}: prepare the scene anew"
            )
        self._indices: dict[Path, NDArray[np.uint64]] = {}

    def read(self, patch: int) -> NDArray[Any]:
        """Read one patch.

        Args:
            patch: Its number, from 0.

        Returns:
            Array of its own, without the first axis.

        Raises:
            TrainingDataError: The file is damaged.
        """
        shard, place = divmod(patch, self._shard)
        path = self._folder.joinpath("c", str(shard), *("0" for _ in self.shape))
        values = np.empty(self.shape, self.dtype)
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                start, size = self._place(path, descriptor, place)
                _BLOSC.decode(_checked(os.pread(descriptor, size, start), size), out=values)
            finally:
                os.close(descriptor)
        except (OSError, ValueError, RuntimeError, OverflowError) as error:
            raise TrainingDataError(
                f"cannot read patch {place} of '{path}' ({error}): the file is damaged; prepare the scene anew"
            ) from error
        return values

    def _place(self, path: Path, descriptor: int, place: int) -> tuple[int, int]:
        """Where a chunk begins in a shard, and its bytes."""
        if path not in self._indices:
            size = 16 * self._shard + _CHECKSUM_BYTES
            end = os.fstat(descriptor).st_size
            index = _checked(os.pread(descriptor, size, max(0, end - size)), size)
            self._indices[path] = np.frombuffer(index, "<u8").reshape(self._shard, 2)
        start, size = self._indices[path][place]
        return int(start), int(size)


def _checked(data: bytes, size: int) -> memoryview:
    """The bytes before a checksum that fits them."""
    content, checksum = memoryview(data)[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if len(data) != size or google_crc32c.value(bytes(content)) != int.from_bytes(checksum, "little"):
        raise ValueError("its checksum does not fit")
    return content
