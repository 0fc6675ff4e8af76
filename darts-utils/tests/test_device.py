import numpy as np
import pytest
import scipy.ndimage

from darts_utils import device
from darts_utils.errors import DeviceError
from darts_utils.testing import example_tile


def test_numpy_arrays_compute_with_numpy_and_scipy():
    assert device.array_namespace(np.zeros(2), np.ones(3)) is np
    assert device.scipy_namespace("ndimage", np.zeros(2)) is scipy.ndimage


@pytest.mark.gpu
def test_cupy_arrays_compute_with_cupy():
    tile = device.move_tile(example_tile(["red"]), device="cuda")
    assert device.is_cupy(tile.red.data)
    assert device.array_namespace(tile.red.data).__name__ == "cupy"
    assert device.scipy_namespace("ndimage", tile.red.data).__name__ == "cupyx.scipy.ndimage"
    assert device.move_tile(tile, device="cpu").identical(example_tile(["red"]))


@pytest.mark.gpu
def test_arrays_go_to_where_another_one_is():
    here = example_tile(["red"]).red.data
    there = device.move_tile(example_tile(["red"]), device="cuda").red.data
    for like in (here, there):
        for array in (here, there):
            brought = device.beside(array, like=like)
            assert type(brought) is type(like)
            np.testing.assert_array_equal(device.to_numpy(brought), here)


def test_an_array_that_is_there_already_stays_itself():
    array = np.zeros(2)
    assert device.beside(array, like=np.ones(3)) is array


def test_every_backend_holds_the_same_values(backend):
    tile = example_tile(["red", "ndvi"])
    for name in tile.data_vars:
        np.testing.assert_array_equal(backend.values(backend.tile(tile)[name]), tile[name].values)


def test_moving_to_the_cpu_computes_dask():
    tile = example_tile(["red"])
    moved = device.move_tile(tile.chunk({"y": 8}), device="cpu")
    assert isinstance(moved.red.data, np.ndarray)
    assert moved.identical(tile)


@pytest.mark.parametrize("name", ["gpu", "cuda:first", "mps"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(DeviceError, match=f"'cpu', 'cuda' or 'cuda:N', but got '{name}'"):
        device.move_tile(example_tile(["red"]), device=name)


def test_a_named_device_that_is_not_there_is_an_error():
    with pytest.raises(DeviceError, match="'cuda:63' was asked for, but CuPy sees"):
        device.move_tile(example_tile(["red"]), device="cuda:63")
