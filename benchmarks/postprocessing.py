"""Post-processing: erosion, objects, thresholds, filters, and the memory of all of it."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import scipy.ndimage
import skimage.measure
import skimage.morphology
import xarray as xr
from numpy.typing import NDArray

from benchmarks.harness import Row, against, as_megabytes, benchmark
from benchmarks.memory import peak_bytes
from darts_postprocessing import (
    binarize,
    drop_edge_objects,
    drop_implausible_objects,
    erode_extent,
    postprocess,
    remove_small_objects,
)
from darts_postprocessing.erosion import erode_by_disc
from darts_utils.objects import find_objects
from darts_utils.testing import example_tile

_SIZE = 8192
_LARGE = 16_384
_RADIUS_PX = 10
_MIN_PX = 32
_NEIGHBOURS = np.ones((3, 3), dtype="uint8")
_FURTHER = (0.3, 0.4, 0.6, 0.7)


@benchmark("erosion")
def erosion() -> list[Row]:
    """Erosion of the mask of a scene with clouds, by scikit-image and by OpenCV."""
    mask = scene().quality_data_mask.values
    disc = skimage.morphology.disk(_RADIUS_PX)

    def ours() -> Any:
        return erode_by_disc(mask, radius_px=_RADIUS_PX)

    def opencv() -> Any:
        eroded = cv2.erode(mask.view("uint8"), disc, borderType=cv2.BORDER_CONSTANT, borderValue=1)
        return eroded.view(bool)

    what = f"erosion by a disc of {_RADIUS_PX} px, {_SIZE}²"
    sides: list[tuple[str, Callable[[], Any], float]] = [
        ("scikit-image binary_erosion(disk)", lambda: _skimage_erosion(mask, disc), 50),
        ("OpenCV erode", opencv, 1.0),
    ]
    return [
        against(what, ours=ours, peer=peer, theirs=theirs, limit=limit, agree=_equal) for peer, theirs, limit in sides
    ]


@benchmark("objects")
def objects() -> list[Row]:
    """Threshold, objects that reach out of the extent, small objects."""
    tile = erode_extent(scene())
    probabilities, valid, extent = (tile[name].values for name in ("probabilities", "valid_data_mask", "extent"))

    def ours() -> Any:
        found = find_objects(probabilities, above=0.5, valid=valid)
        return found.mask(~found.touching_outside(extent) & (found.sizes_px() >= _MIN_PX))

    def with_skimage() -> Any:
        labels = skimage.measure.label((probabilities > np.float32(0.5)) & valid, connectivity=2)
        near_outside = skimage.morphology.dilation(~extent, _NEIGHBOURS)
        touching = np.zeros(labels.max() + 1, dtype=bool)
        touching[labels[near_outside]] = True
        labels[touching[labels]] = 0
        return skimage.morphology.remove_small_objects(labels, max_size=_MIN_PX - 1) > 0

    def with_opencv() -> Any:
        marked = ((probabilities > np.float32(0.5)) & valid).view("uint8")
        _, labels, statistics, _ = cv2.connectedComponentsWithStats(marked, connectivity=8, ltype=cv2.CV_32S)
        near_outside = cv2.dilate((~extent).view("uint8"), _NEIGHBOURS) > 0
        keep = statistics[:, cv2.CC_STAT_AREA] >= _MIN_PX
        keep[labels[near_outside]] = False
        keep[0] = False
        return keep[labels]

    def in_steps() -> Any:
        return remove_small_objects(drop_edge_objects(binarize(tile))).binarized_segmentation.values

    count = find_objects(ours()).count
    what = f"binarize, drop touching and small ones, {_SIZE}², {count} objects left"
    return [
        against(
            what,
            ours=ours,
            peer="scikit-image label and remove_small_objects",
            theirs=with_skimage,
            limit=40,
            agree=_equal,
        ),
        against(what, ours=ours, peer="OpenCV components and a lookup", theirs=with_opencv, limit=5, agree=_equal),
        against(
            f"{what}: the three verbs", ours=in_steps, peer="the same", theirs=with_opencv, limit=None, agree=_equal
        ),
    ]


@benchmark("thresholds")
def thresholds() -> list[Row]:
    """Hysteresis, and five thresholds at once."""
    tile = scene()
    probabilities = np.nan_to_num(tile.probabilities.values)

    def with_lookup() -> Any:
        labels = scipy.ndimage.label(probabilities > np.float32(0.5), _NEIGHBOURS)[0]
        high = np.zeros(labels.max() + 1, dtype=bool)
        high[labels[probabilities > np.float32(0.8)]] = True
        high[0] = False
        return high[labels]

    def ours() -> Any:
        return binarize(tile, threshold=0.5, high_threshold=0.8).binarized_segmentation.values

    def together() -> list[Any]:
        result = postprocess(tile, further_thresholds=_FURTHER)
        return [result[name].values for name in ("binarized_segmentation", *_names())]

    def one_by_one() -> list[Any]:
        results = [postprocess(tile, threshold=each) for each in (0.5, *_FURTHER)]
        return [each.binarized_segmentation.values for each in results]

    return [
        against(
            f"hysteresis 0.5 and 0.8, {_SIZE}²",
            ours=ours,
            peer="scipy label and a lookup, as in scikit-image's apply_hysteresis_threshold",
            theirs=with_lookup,
            limit=None,
            agree=_equal,
        ),
        against(
            f"postprocess at five thresholds, {_SIZE}²",
            ours=together,
            peer="postprocess five times",
            theirs=one_by_one,
            limit=None,
            agree=lambda a, b: _equal(np.stack(a), np.stack(b)),
        ),
    ]


@benchmark("plausibility")
def plausibility() -> Row:
    """Objects mostly on water or on flat ground."""
    tile = binarize(scene())

    def ours() -> Any:
        return drop_implausible_objects(tile, drop_water=True, min_slope_deg=2.0).binarized_segmentation.values

    def with_scipy() -> Any:
        labels, count = scipy.ndimage.label(tile.binarized_segmentation.values, _NEIGHBOURS)
        water = (tile.nir.values <= 1000) & ~(tile.ndvi.values > 0)
        flat = tile.slope.values < 2
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        keep = np.ones(count + 1, dtype=bool)
        for flags in (water, flat):
            keep &= np.bincount(labels[flags], minlength=count + 1) <= 0.5 * sizes
        keep[0] = False
        return keep[labels]

    return against(
        f"objects on water and on flat ground, {_SIZE}²",
        ours=ours,
        peer="scipy label and bincount",
        theirs=with_scipy,
        limit=None,
        agree=_equal,
    )


@benchmark("postprocess")
def whole() -> list[Row]:
    """All steps: time against the same with scikit-image's functions, memory against the input."""
    tile = scene()
    row = against(
        f"postprocess, {_SIZE}²: extent, percent, objects",
        ours=lambda: postprocess(tile).binarized_segmentation.values,
        peer="OpenCV and NumPy",
        theirs=lambda: _with_opencv(tile),
        limit=None,
        agree=_equal,
    )
    pixels = _LARGE**2
    inputs, outputs = pixels * (4 + 1 + 1), pixels * 3
    more = peak_bytes("postprocessing", "memory_of_postprocess") - outputs
    memory = Row(
        f"memory of postprocess beyond input and output, {_LARGE}²",
        "input: probabilities and two masks",
        as_megabytes(more),
        as_megabytes(inputs),
        more / inputs,
        0.5,
        at_most=True,
    )
    return [row, memory]


def memory_of_postprocess() -> Callable[[], Any]:
    """The work whose memory is measured; the kernels are compiled before, on a small piece."""
    tile = scene(_LARGE, ("probabilities", "valid_data_mask", "quality_data_mask"))
    postprocess(tile.isel(y=slice(0, 256), x=slice(0, 256)).copy(deep=True))
    return lambda: postprocess(tile)


@cache
def scene(size: int = _SIZE, names: tuple[str, ...] = ()) -> xr.Dataset:
    """Half of a scene is nodata, clouds hide some of the rest, objects are about 1,250 at 8192², of natural outlines."""
    wanted = names or ("probabilities", "valid_data_mask", "quality_data_mask", "ndvi", "nir", "slope")
    small = example_tile(wanted, shape=(4, 4))
    rows, columns = np.ogrid[:size, :size]
    valid = rows + 0.4 * columns < 0.7 * size
    made: dict[str, Callable[[], NDArray[Any]]] = {
        "probabilities": lambda: _probabilities(size, valid),
        "valid_data_mask": lambda: valid,
        "quality_data_mask": lambda: valid & (_noise(size, 128, seed=2) < 1.5),
        "ndvi": lambda: np.where(valid, 0.2 * _noise(size, 32, seed=3) + 0.1, np.nan).astype("float32"),
        "nir": lambda: (valid * np.clip(1500 + 600 * _noise(size, 32, seed=4), 1, None)).astype("uint16"),
        "slope": lambda: np.where(valid, np.abs(4 * _noise(size, 64, seed=5)), np.nan).astype("float32"),
    }
    variables = {name: (("y", "x"), made[name](), small[name].attrs) for name in wanted}
    return xr.Dataset(variables, attrs=small.attrs)


def _probabilities(size: int, valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    noise = _noise(size, 21, seed=0)
    noise += 0.25 * _noise(size, 6, seed=1)
    noise *= 3
    noise -= 6.0
    np.negative(noise, out=noise)
    np.exp(noise, out=noise)
    noise += 1
    np.reciprocal(noise, out=noise)
    noise[~valid] = np.nan
    return noise


def _noise(size: int, cell: int, *, seed: int) -> NDArray[np.float32]:
    """Smooth noise of unit variance, with features of about `cell` pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.standard_normal((size // cell + 3,) * 2, dtype="float32")
    coarse = scipy.ndimage.gaussian_filter(coarse, 1)
    coarse /= coarse.std()
    length = (size // cell + 3) * cell
    return np.ascontiguousarray(cv2.resize(coarse, (length, length), interpolation=cv2.INTER_CUBIC)[:size, :size])


def _names() -> list[str]:
    return [f"binarized_above-{100 * each:g}" for each in _FURTHER]


def _skimage_erosion(mask: Any, disc: Any) -> Any:
    with warnings.catch_warnings():  # it is named as a function of the past since 0.26
        warnings.simplefilter("ignore", FutureWarning)
        return skimage.morphology.binary_erosion(mask, disc, mode="ignore")


def _with_opencv(tile: xr.Dataset) -> Any:
    disc = skimage.morphology.disk(10)
    quality = tile.quality_data_mask.values.view("uint8")
    extent = cv2.erode(quality, disc, borderType=cv2.BORDER_CONSTANT, borderValue=1).astype(bool)
    extent[:10] = extent[-10:] = extent[:, :10] = extent[:, -10:] = False
    probabilities = tile.probabilities.values
    percent = np.rint(probabilities * 100)
    percent[~extent | np.isnan(percent)] = 255
    percent.astype("uint8")
    marked = ((probabilities > np.float32(0.5)) & tile.valid_data_mask.values).view("uint8")
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(marked, connectivity=8, ltype=cv2.CV_32S)
    keep = statistics[:, cv2.CC_STAT_AREA] >= _MIN_PX
    keep[labels[cv2.dilate((~extent).view("uint8"), _NEIGHBOURS) > 0]] = False
    keep[0] = False
    return keep[labels]


def _equal(ours: Any, theirs: Any) -> str:
    np.testing.assert_array_equal(np.asarray(ours) > 0, np.asarray(theirs) > 0)
    return "equal"
