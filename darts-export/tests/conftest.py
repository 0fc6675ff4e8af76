"""Fixtures of the export tests."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from darts_export.dataset.publishing.datasets import build_dataset
from darts_export.dataset.testing.archives import export_example
from darts_utils.testing import example_tile

_VARIABLES = (
    *("blue", "green", "red", "nir", "ndvi", "dem", "slope"),
    *("tc_brightness", "tc_greenness", "tc_wetness", "valid_data_mask", "quality_data_mask"),
    *("probabilities", "probabilities_percent", "binarized_segmentation", "extent"),
)


@pytest.fixture(scope="session")
def example() -> xr.Dataset:
    """A tile after postprocessing: three objects, one of two parts that touch by a corner, one at the edge."""
    tile = example_tile(_VARIABLES, shape=(60, 70))
    tile.probabilities.attrs["source"] = "mean of full, optical"
    for name in ("valid_data_mask", "quality_data_mask", "extent"):
        tile[name][:] = True
    tile.valid_data_mask[:3] = tile.quality_data_mask[:3] = tile.extent[:10] = False
    objects = np.zeros((60, 70), dtype="uint8")
    objects[20:25, 10:20] = objects[30:33, 30:33] = objects[33:36, 33:36] = 1
    objects[10:14, 40:50] = 1  # 8-adjacent to row 9, which is outside the extent
    tile.binarized_segmentation[:] = objects
    return tile


@pytest.fixture(scope="session")
def empty_example(example: xr.Dataset) -> xr.Dataset:
    """The same without any object and without any trusted pixel."""
    empty = example.copy(deep=True)
    empty.binarized_segmentation[:] = 0
    empty.extent[:] = False
    return empty


@pytest.fixture
def tile(example: xr.Dataset) -> xr.Dataset:
    """The example, for one test to change."""
    return example.copy(deep=True)


@pytest.fixture
def empty_tile(empty_example: xr.Dataset) -> xr.Dataset:
    """The empty example, for one test to change."""
    return empty_example.copy(deep=True)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years of two places, one of them growing."""
    place = tmp_path_factory.mktemp("archive")
    for year in (2019, 2020):
        export_example(place, f"a-{year}", year=year, size_px=8 + 4 * (year - 2019))
        export_example(place, f"b-{year}", year=year, x=5000)
    return place


@pytest.fixture(scope="session")
def dataset(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of the archive."""
    out = tmp_path_factory.mktemp("built") / "dataset"
    build_dataset([archive], out)
    return out
