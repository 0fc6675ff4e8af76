"""Patches on their way into a training, against a data set that reads windows of GeoTIFFs."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch.utils.data import DataLoader, Dataset

from benchmarks.harness import Row, against, as_megabytes, benchmark
from benchmarks.memory import peak_bytes
from darts_train_utils.config import AugmentationConfig, DataConfig
from darts_train_utils.data import PatchDataModule
from darts_train_utils.patch_store import PatchStore, write_scene
from darts_train_utils.splits import Split
from darts_utils.inference import Normalization, Scaling
from darts_utils.synthetic import synthetic_scene
from darts_utils.variables import OPTICAL_BANDS, TCVIS_BANDS

SIZE_PX, PATCH_PX, OVERLAP_PX, BATCH = 1536, 256, 32, 8
BLOCK_CACHE_BYTES = 16 * 2**20
"""What GDAL may keep of decoded blocks: those of one patch, not the scene, as training data are many times larger than its cache."""
SCALINGS = {
    **{name: Scaling(0.0, 1 / 4000) for name in OPTICAL_BANDS},
    "ndvi": Scaling(-1.0, 0.5),
    "relative_elevation": Scaling(-15.0, 1 / 30),
    "slope": Scaling(0.0, 1 / 45),
    **{name: Scaling(0.0, 1 / 255) for name in TCVIS_BANDS},
}


@cache
def scene_layers() -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
    """A preprocessed synthetic scene and its labels."""
    from darts_preprocessing import preprocess

    scene = synthetic_scene(100_003, shape=(SIZE_PX, SIZE_PX))
    tile = preprocess(scene.tile, dem=scene.dem, tcvis=scene.tcvis)
    labels = np.where(tile.quality_data_mask.values, scene.truth.slump_mask.values, 2).astype("uint8")
    return {name: np.ascontiguousarray(tile[name].values) for name in SCALINGS}, labels


def corners() -> list[tuple[int, int]]:
    """First row and column of each patch; their overlap keeps most of them off the blocks of the files, as real ones are."""
    starts = range(0, SIZE_PX - PATCH_PX + 1, PATCH_PX - OVERLAP_PX)
    return [(row, column) for row in starts for column in starts]


@cache
def folder() -> Path:
    """The same scene as a store of patches and as GeoTIFFs, for as long as the process lives."""
    made = tempfile.TemporaryDirectory()
    _KEPT.append(made)
    layers, labels = scene_layers()
    cut = {name: np.stack([_window(values, each) for each in corners()]) for name, values in layers.items()}
    bounds = np.array([[column, -row - PATCH_PX, column + PATCH_PX, -row] for row, column in corners()], "float64")
    write_scene(
        made.name,
        scene="scene",
        region="region",
        crs="EPSG:3413",
        bounds=bounds,
        variables=cut,
        labels=np.stack([_window(labels, each) for each in corners()]),
    )
    for name, values in {**layers, "labels": labels}.items():
        options = {"driver": "GTiff", "height": SIZE_PX, "width": SIZE_PX, "count": 1, "dtype": values.dtype}
        options |= {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "ZSTD", "zstd_level": 1}
        options |= {"predictor": 3 if values.dtype.kind == "f" else 2, "crs": "EPSG:3413"}
        options |= {"transform": rasterio.Affine(1, 0, 0, 0, -1, 0)}
        with rasterio.open(Path(made.name) / f"{name}.tif", "w", **options) as file:
            file.write(values, 1)
    return Path(made.name)


_KEPT: list[Any] = []


def _window(values: NDArray[Any], corner: tuple[int, int]) -> NDArray[Any]:
    return values[corner[0] : corner[0] + PATCH_PX, corner[1] : corner[1] + PATCH_PX]


class Windows(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The data set that one writes with rasterio: files stay open, a window of each band, scaled with NumPy."""

    def __init__(self, place: Path, *, vary: bool) -> None:
        self._place, self._vary, self._files = place, vary, {}
        self._corners = corners()

    def __len__(self) -> int:
        return len(self._corners)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read and scale one patch."""
        row, column = self._corners[index]
        window = Window(column, row, PATCH_PX, PATCH_PX)
        channels = []
        for name, scaling in SCALINGS.items():
            values = self._file(name).read(1, window=window).astype("float32")
            scaled = np.clip((values - np.float32(scaling.offset)) * np.float32(scaling.scale), 0, 1)
            channels.append(np.nan_to_num(scaled, nan=0.0))
        image, labels = np.stack(channels), self._file("labels").read(1, window=window)
        if self._vary:
            from darts_train_utils.augmentation import augment

            image, labels = augment(image, labels, seed=0, epoch=0, index=index, config=AugmentationConfig())
            image = np.clip(np.nan_to_num(image, nan=0.0), 0, 1)
        return torch.from_numpy(image), torch.from_numpy(labels.astype("int64"))

    def _file(self, name: str) -> Any:
        if name not in self._files:
            self._files[name] = rasterio.open(self._place / f"{name}.tif")
        return self._files[name]


def ours(*, augmentation: AugmentationConfig | None) -> DataLoader[Any]:
    """The loader of a training; without variation that of the validation, which has the same patches in order."""
    store = PatchStore(folder())
    rows, none = np.arange(len(store)), np.array([], "int64")
    module = PatchDataModule(
        store,
        Split(rows, rows, none, none),
        normalization=Normalization(SCALINGS),
        seed=0,
        config=DataConfig(batch_size=BATCH),
        augmentation=augmentation,
    )
    return module.val_dataloader() if augmentation is None else module.train_dataloader()


def theirs(*, vary: bool) -> DataLoader[Any]:
    """The loader of the peer: same batches, same number of workers (none)."""
    return DataLoader(Windows(folder(), vary=vary), batch_size=BATCH)


def drained(loader: DataLoader[Any]) -> int:
    """Take all batches, as a network of no cost does."""
    with rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE_BYTES):
        return sum(1 for _ in loader)


@benchmark("training-input")
def training_input() -> list[Row]:
    """Patches a second, without and with variation."""
    return [_input_row(varied=False), _input_row(varied=True)]


def _input_row(*, varied: bool) -> Row:
    config = AugmentationConfig() if varied else None
    mine, other = ours(augmentation=config), theirs(vary=varied)

    def agree(_mine: Any, _other: Any) -> str:
        return _same_tensors(ours(augmentation=None), theirs(vary=False))

    return against(
        f"{len(corners())} patches of {PATCH_PX}² × {len(SCALINGS)}, {'varied' if varied else 'as they are'}, batches of {BATCH}",
        ours=lambda: drained(mine),
        peer="torch Dataset on rasterio windows of tiled ZSTD GeoTIFFs, all in the cache of the disk; GDAL keeps the blocks of a patch",
        theirs=lambda: drained(other),
        limit=None if varied else 5.0,
        agree=agree,
    )


def _same_tensors(mine: DataLoader[Any], other: DataLoader[Any]) -> str:
    largest = 0.0
    for batch, (image, labels) in zip(mine, other, strict=True):
        if not torch.equal(batch["labels"], labels):
            raise RuntimeError("expected the labels of both sides to be equal: the benchmark compares unlike things")
        largest = max(largest, float((batch["image"] - image).abs().max()))
    if largest > 1e-6:
        raise RuntimeError(f"expected the images of both sides to be equal, but they differ by {largest}")
    return f"images differ by at most {largest:.1g}, labels are equal"


@benchmark("training-memory")
def training_memory() -> Row:
    """Memory of a process after the third epoch against that after the first."""
    first, third = (peak_bytes("training", "epochs", number) for number in ("1", "3"))
    return Row(
        f"peak memory while {len(corners())} patches are read, after 3 epochs",
        "ours after 1 epoch",
        as_megabytes(third),
        as_megabytes(first),
        third / first,
        1.1,
        at_most=True,
        note="ratio: three epochs / one",
    )


def epochs(number: str) -> Callable[[], None]:
    """Work for `peak_bytes`: read so many epochs."""
    loader = ours(augmentation=AugmentationConfig())

    def run() -> None:
        for epoch in range(int(number)):
            loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
            drained(loader)

    return run
