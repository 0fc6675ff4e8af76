"""Sentinel-2 L2A as ESA delivers it: ``S2?_MSIL2A_….SAFE`` folders."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr

from darts_preprocessing.loading.classification import nearest_classes
from darts_preprocessing.loading.dates import date_of_name
from darts_preprocessing.loading.folders import scene_name
from darts_preprocessing.loading.geotiff import optical_tile
from darts_preprocessing.loading.rasters import RasterBands, read_bands
from darts_preprocessing.loading.safe_metadata import product_metadata, sun_angles
from darts_utils.dates import UNKNOWN_DATE
from darts_utils.errors import SceneError, SceneNotFoundError
from darts_utils.grids import check_same_grid
from darts_utils.kernels import thread_count
from darts_utils.tiles import variable

SUFFIX = ".SAFE"
BANDS = ("B02", "B03", "B04", "B08")
"""In the order blue, green, red, nir."""
_NAME = re.compile(
    r"S2[A-Z]_MSIL2A_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T\d{6}_N(?P<baseline>\d{4})_R\d{3}_T\w{5}_\d{8}T\d{6}"
)


def is_safe(folder: Path) -> bool:
    """Whether a folder is a Sentinel-2 product, by its name or its metadata file."""
    return scene_name(folder).upper().endswith(SUFFIX) or (folder / "MTD_MSIL2A.xml").is_file()


def load_safe(folder: str | os.PathLike[str], *, offset_dn: int | None = None) -> xr.Dataset:
    """Load a Sentinel-2 L2A product folder.

    Args:
        folder: ``S2?_MSIL2A_….SAFE/`` with ``MTD_MSIL2A.xml`` and, below ``GRANULE/<granule>/IMG_DATA/``, ``R10m/*_B02_10m.jp2``
            (B03, B04, B08 likewise, uint16) and ``R20m/*_SCL_20m.jp2``; the sun stands in ``GRANULE/<granule>/MTD_TL.xml``.
        offset_dn: Count of reflectance 0, 0 or 1000. Needed where the product does not say it, as those without an official
            baseline (``N9999``) may not; else compared with what the product says.

    Returns:
        Raw tile with ``blue``, ``green``, ``red``, ``nir`` uint16 and ``s2_scl`` uint8, the class in which the centre of each
        pixel lies. Its ``tile_id`` is the product's name without ``.SAFE``; ``attrs["processing_baseline"]`` is there where
        the product says it.

    Raises:
        SceneNotFoundError: The folder or a file is missing.
        SceneError: A file is damaged or another product; neither the product nor `offset_dn` says how counts become
            reflectance, or they contradict each other; there are no data.
        GridMismatchError: Bands or classification do not fit.

    Notes:
        Reflectance = (count + BOA_ADD_OFFSET) / BOA_QUANTIFICATION_VALUE as the metadata list it for each band. Where they list
        no offset, the processing baseline decides: −1000 from 04.00 on, else 0. A baseline of 99.xx marks a product that is not
        official and decides nothing; then `offset_dn` does. The sensing date never does, because old images are processed
        anew.

    References:
        ESA, Sentinel-2 Products Specification Document, Level-2A user product.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SceneNotFoundError(
            f"expected a Sentinel-2 product folder at '{folder}', but there is none: check the path"
        )
    name = scene_name(folder)
    name = name[: -len(SUFFIX)] if name.upper().endswith(SUFFIX) else name
    match = _NAME.fullmatch(name)
    named = None if match is None else f"{match['baseline'][:2]}.{match['baseline'][2:]}"
    metadata = product_metadata(folder / "MTD_MSIL2A.xml", named_baseline=named)
    scalings = metadata.scalings(BANDS, offset_dn=offset_dn)
    zeros = [round(-offset / scale) for scale, offset in scalings]
    if offset_dn is not None and set(zeros) != {offset_dn}:
        raise SceneError(
            f"'{folder}' says that reflectance 0 is the count {', '.join(map(str, sorted(set(zeros))))}, but {offset_dn} is "
            "expected: leave the option out, the product knows"
        )
    granule = _granule(folder)
    images = [_only(granule, f"IMG_DATA/R10m/*_{band}_10m.jp2", f"IMG_DATA/*_{band}_10m.jp2") for band in BANDS]
    classes_file = _only(granule, "IMG_DATA/R20m/*_SCL_20m.jp2", "IMG_DATA/*_SCL_20m.jp2")
    files = [(path, "uint16") for path in images] + [(classes_file, "uint8")]
    with ThreadPoolExecutor(min(thread_count(), len(files))) as pool:
        *bands, classes = pool.map(lambda file: read_bands(file[0], (1,), dtype=file[1], expected_count=1), files)
    for image, band in zip(images[1:], bands[1:], strict=True):
        check_same_grid(bands[0].grid, band.grid, first_name=f"'{images[0]}'", second_name=f"'{image}'")
    attrs: dict[str, object] = {"tile_id": name, "sensor": "sentinel2", "date": date_of_name(name, _NAME)}
    if attrs["date"] == UNKNOWN_DATE:
        attrs["date"] = metadata.date
    if metadata.baseline is not None:
        attrs["processing_baseline"] = metadata.baseline
    attrs.update(sun_angles(granule / "MTD_TL.xml"))
    tile = optical_tile(_stacked(bands), path=folder, attrs=attrs, scalings=scalings)
    for image, optical in zip(images, tile.data_vars.values(), strict=True):
        optical.attrs["source"] = image.name
    fine = nearest_classes(
        classes.values[0], classes.grid, bands[0].grid, names=(f"'{images[0]}'", f"'{classes_file}'")
    )
    return tile.assign(s2_scl=variable("s2_scl", fine, source=classes_file.name))


def _stacked(bands: list[RasterBands]) -> RasterBands:
    return RasterBands(
        np.stack([band.values[0] for band in bands]),
        bands[0].grid,
        tuple(band.scalings[0] for band in bands),
        max(band.unmarked_zeros_percent for band in bands),
    )


def _granule(folder: Path) -> Path:
    granules = sorted(path for path in folder.glob("GRANULE/*") if path.is_dir())
    if len(granules) == 1:
        return granules[0]
    if not granules:
        raise SceneNotFoundError(
            f"'{folder}' must hold GRANULE/<granule>/IMG_DATA, but has no granule: unpack or download it again"
        )
    names = ", ".join(path.name for path in granules)
    raise SceneError(f"'{folder}' must hold one granule, but has {names}: split them into products of their own")


def _only(granule: Path, *patterns: str) -> Path:
    found = sorted(path for pattern in patterns for path in granule.glob(pattern) if path.is_file())
    if len(found) == 1:
        return found[0]
    if not found:
        raise SceneNotFoundError(
            f"'{granule}' must hold {patterns[0]}, but has no such file: unpack or download the product again"
        )
    raise SceneError(
        f"'{granule}' must hold {patterns[0]} once, but has {', '.join(path.name for path in found)}: keep one of them"
    )
