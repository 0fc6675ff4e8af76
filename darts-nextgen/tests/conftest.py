"""Scenes as files."""

import pytest

from darts_nextgen.demo.sample import MODELS
from darts_utils.synthetic import synthetic_scene, write_scene


@pytest.fixture(scope="session")
def models():
    """The folder of the demo's networks."""
    return MODELS


@pytest.fixture(scope="session")
def planet_scene():
    """A PlanetScope scene with clouds."""
    return synthetic_scene(100_018, shape=(200, 220), slump_density_per_km2=14.0)


@pytest.fixture(scope="session")
def planet(planet_scene, tmp_path_factory):
    """Its files; not to be changed."""
    return write_scene(planet_scene, tmp_path_factory.mktemp("planet"))


@pytest.fixture(scope="session")
def sentinel(tmp_path_factory):
    """The files of a Sentinel-2 scene, with reflectance 0 at count 0; not to be changed."""
    scene = synthetic_scene(100_001, shape=(160, 170), resolution_m=10.0, sensor="sentinel2")
    return write_scene(scene, tmp_path_factory.mktemp("sentinel"))
