"""Manifests: true, and refused where they are not."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export import ExportConfig, export_tile, export_tile_batched
from darts_export.fingerprints import Fingerprint
from darts_export.manifest import Manifest, Origin, WrittenFile, read_manifest, write_manifest
from darts_utils.errors import ConfigError, OutputError

texts = st.text(max_size=12)
numbers = st.integers(0, 2**63 - 1)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
options = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
inputs = st.lists(st.builds(Fingerprint, texts, numbers, numbers, numbers, st.none() | hashes), max_size=3).map(tuple)
origins = st.builds(
    Origin,
    inputs=st.dictionaries(texts, inputs, max_size=2),
    models=st.dictionaries(texts, hashes, max_size=2),
    left_out=st.lists(texts, max_size=2).map(tuple),
    config=st.dictionaries(texts, options, max_size=3),
    software=st.dictionaries(texts, texts, max_size=2),
)
written = st.lists(st.builds(WrittenFile, texts, texts, texts, numbers, hashes), max_size=3).map(tuple)
manifests = st.builds(Manifest, texts, origins, written, st.dictionaries(texts, numbers, max_size=2))


@settings(deadline=None, max_examples=100)
@given(manifest=manifests)
def test_a_manifest_survives_its_file(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    first = write_manifest(manifest, folder).read_bytes()
    found = read_manifest(folder)
    assert found == manifest
    assert list(found.origin.models) == list(manifest.origin.models)
    assert write_manifest(found, folder).read_bytes() == first


def test_every_flipped_bit_that_matters_is_noticed(tile: xr.Dataset, tmp_path: Path) -> None:
    path = export_tile(tile, tmp_path, products=["ndvi"], config={"threshold": 0.5})["ndvi"].with_name("manifest.json")
    content = path.read_bytes()
    whole = read_manifest(path.parent)
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 0x02
        path.write_bytes(changed)
        try:
            found = read_manifest(path.parent)
        except OutputError:
            continue
        assert found == whole  # a blank became another blank


def test_a_manifest_tells_the_truth(tile: xr.Dataset, tmp_path: Path) -> None:
    paths = export_tile(tile, tmp_path, config={"b": (1, 2), "a": Path("x")}, summary={"objects": 3})
    manifest = read_manifest(tmp_path / "example-0")
    assert (manifest.tile_id, manifest.summary) == ("example-0", {"objects": 3})
    assert manifest.products == ExportConfig.products
    assert manifest.origin == Origin(config={"a": "x", "b": [1, 2]}, software={"darts-export": "0.1.0"})
    assert {file.asset: paths[file.asset].parent / file.name for file in manifest.files} == paths
    for file in manifest.files:
        content = paths[file.asset].read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_an_origin_is_recorded(tile: xr.Dataset, tmp_path: Path) -> None:
    origin = Origin(
        {"scene": (Fingerprint("a.tif", 1, 2, 3, None),)}, {"full": "0" * 64}, ("full",), {"a": 1}, {"darts": "1"}
    )
    export_tile(tile, tmp_path, products=["ndvi"], origin=origin)
    assert read_manifest(tmp_path / "example-0").origin == origin
    others = [tile.assign_attrs(tile_id=name) for name in ("one", "two")]
    second = dataclasses.replace(origin, config={"a": 2})
    export_tile_batched(others, tmp_path, products=["ndvi"], origins=[origin, second], summaries=[{}, {"objects": 1}])
    assert read_manifest(tmp_path / "one").origin == origin
    assert read_manifest(tmp_path / "two").origin == second
    assert read_manifest(tmp_path / "two").summary == {"objects": 1}
    with pytest.raises(ConfigError, match=r"config\['a'\] must be text, a number"):
        export_tile(tile, tmp_path / "none", origin=Origin(config={"a": object()}))
    assert not (tmp_path / "none").exists()


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "gone") is None
    texts = ("", "[]", "{}", "1", '{"checksum": "0"}', '{"format": 2}', '{"format": 2, "checksum": "0", "x": NaN}')
    for text in (*texts, '{"format": ' + "[" * 10**5):
        path.write_text(text)
        with pytest.raises(
            OutputError, match="expected a manifest at '.*', but it is damaged, or was changed by hand: export again"
        ):
            read_manifest(tmp_path)
    path.write_bytes(b"\xff")
    with pytest.raises(OutputError, match="but it cannot be read"):
        read_manifest(tmp_path)
    for other in (1, 3, "2", None):
        path.write_text(json.dumps({"format": other, "unheard of": True}))
        message = f"expected a manifest of format 2 at '.*', but got {other!r}: export again, or use the version"
        with pytest.raises(OutputError, match=message):
            read_manifest(tmp_path)


@pytest.mark.parametrize("key", ["inputs", "left_out", "files", "summary", "tile_id"])
def test_a_manifest_that_lacks_something_is_refused_though_its_checksum_fits(
    tile: xr.Dataset, tmp_path: Path, key: str
) -> None:
    path = export_tile(tile, tmp_path, products=["ndvi"])["ndvi"].with_name("manifest.json")
    content = json.loads(path.read_text())
    for change in ({}, {"files": [{"name": "ndvi.tif", "weight": 3}]}):
        changed = {name: value for name, value in content.items() if name not in {key, "checksum"}} | change
        checksum = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
        path.write_text(json.dumps({**changed, "checksum": checksum}))
        with pytest.raises(OutputError, match="but it is damaged, or was changed by hand: export again"):
            read_manifest(path.parent)
