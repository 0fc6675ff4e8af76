"""From reflectance to what a sensor delivers: digital numbers and its quality mask."""

import hashlib

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from darts_utils.grids import coords_of
from darts_utils.synthetic.config import Sensor, SkyConfig
from darts_utils.synthetic.noise import Field
from darts_utils.synthetic.sky import Sky
from darts_utils.tiles import variable
from darts_utils.variables import OPTICAL_BANDS, REFLECTANCE_ATTRS, REFLECTANCE_UNIT

_CLOUD_REFLECTANCE = np.array([0.42, 0.42, 0.43, 0.46])
_SCL_OF = {"missing": 0, "shadow": 3, "vegetation": 4, "bare": 5, "cloud": 9}
_UDM2_BIT_OF = {"clear": 0, "shadow": 2, "cloud": 5}
_MGRS_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_SCL_BLOCK_PX = 2  # the scene classification comes at 20 m


def observe(
    rng: np.random.Generator,
    reflectance: Field,
    sky: Sky,
    grid: GeoBox,
    *,
    sensor: Sensor,
    date: str,
    tile_id: str,
    sun_azimuth_deg: float,
    sun_elevation_deg: float,
    config: SkyConfig,
) -> xr.Dataset:
    """Build the raw tile.

    Args:
        rng: Source of noise.
        reflectance: ``(4, y, x)`` surface reflectance of blue, green, red, nir.
        sky: What hides the ground.
        grid: The scene's grid.
        sensor: Which sensor's masks to make.
        date: ``YYYY-MM-DD``.
        tile_id: Goes into the metadata.
        sun_azimuth_deg: Goes into the metadata.
        sun_elevation_deg: Goes into the metadata.
        config: Noise and illumination.

    Returns:
        Raw tile: DN uint16 (reflectance × 10 000, at least 1 where there are data, 0 elsewhere) and sensor masks uint8.
    """
    seen = reflectance * rng.uniform(*config.gain) * rng.normal(1.0, 0.02, 4)[:, None, None]
    seen += rng.uniform(-0.002, 0.008) * np.array([1.0, 0.7, 0.5, 0.2])[:, None, None]  # haze, blue above all
    seen *= 1 - sky.shadow_depth
    seen += sky.cloud_opacity * (_CLOUD_REFLECTANCE[:, None, None] - seen)
    seen *= 1 + config.noise * rng.standard_normal(seen.shape)
    counts = np.clip(np.rint(seen * REFLECTANCE_UNIT), 1, 12_000).astype("uint16")
    counts[:, sky.missing] = 0
    source = f"synthetic {sensor}"
    tile = xr.Dataset(
        coords=coords_of(grid),
        attrs={
            "tile_id": tile_id,
            "sensor": sensor,
            "date": date,
            "sun_azimuth_deg": round(sun_azimuth_deg, 1),
            "sun_elevation_deg": round(sun_elevation_deg, 1),
        },
    ).assign(
        {
            name: variable(name, counts[index], source=source, **REFLECTANCE_ATTRS)
            for index, name in enumerate(OPTICAL_BANDS)
        }
    )
    masks = _planet_masks(sky) if sensor == "planetscope" else {"s2_scl": _scene_classification(seen, sky)}
    return tile.assign({name: variable(name, values, source=source) for name, values in masks.items()})


def make_tile_id(sensor: Sensor, date: str, seed: int, options: object) -> str:
    """The name of a scene in the manner of its sensor; scenes of other options have other names.

    Args:
        sensor: Which sensor's manner.
        date: ``YYYY-MM-DD``.
        seed: Stands in the place of the time.
        options: Everything else that decides what the scene holds; its ``repr`` is hashed.

    Examples:
        >>> make_tile_id("planetscope", "2021-08-21", 3661, None)
        '20210821_010101_00_6f56'
        >>> make_tile_id("sentinel2", "2021-08-21", 3661, None)
        '20210821T210019_003661_T23JRH'
    """
    day = date.replace("-", "")
    number = int.from_bytes(hashlib.sha256(repr((seed, options)).encode()).digest()[:8], "big")
    if sensor == "planetscope":
        clock = f"{seed % 86_400 // 3600:02d}{seed % 3600 // 60:02d}{seed % 60:02d}"
        return f"{day}_{clock}_{seed // 86_400 % 100:02d}_{number % 16**4:04x}"
    number, zone = divmod(number, 60)
    letters = "".join(_MGRS_LETTERS[number // len(_MGRS_LETTERS) ** place % len(_MGRS_LETTERS)] for place in range(3))
    return f"{day}T210019_{seed:06d}_T{zone + 1:02d}{letters}"


def _planet_masks(sky: Sky) -> dict[str, NDArray[np.uint8]]:
    clear = ~(sky.cloud | sky.shadow | sky.missing)
    bits = {"clear": clear, "shadow": sky.shadow & ~sky.missing, "cloud": sky.cloud & ~sky.missing}
    udm2 = sum(mask.astype("uint8") << _UDM2_BIT_OF[name] for name, mask in bits.items())
    return {"planet_udm2": np.asarray(udm2, "uint8"), "planet_udm1": sky.missing.astype("uint8")}


def _scene_classification(seen: Field, sky: Sky) -> NDArray[np.uint8]:
    """Classes at 20 m, each pixel repeated twice in both directions as on the 10 m grid."""
    red, nir = seen[2], seen[3]
    classes = np.where((nir - red) > 0.4 * (nir + red), _SCL_OF["vegetation"], _SCL_OF["bare"]).astype("uint8")
    classes[sky.shadow] = _SCL_OF["shadow"]
    classes[sky.cloud] = _SCL_OF["cloud"]
    classes[sky.missing] = _SCL_OF["missing"]
    coarse = classes[::_SCL_BLOCK_PX, ::_SCL_BLOCK_PX]
    fine = np.repeat(np.repeat(coarse, _SCL_BLOCK_PX, axis=0), _SCL_BLOCK_PX, axis=1)
    return fine[: classes.shape[0], : classes.shape[1]]
