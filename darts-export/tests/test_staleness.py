"""Complete and current, or why not."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr

from darts_export import export_tile
from darts_export.fingerprints import fingerprint
from darts_export.manifest import Origin
from darts_export.staleness import Demand, judge


@pytest.fixture
def scene(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "scene").mkdir()
    paths = {name: tmp_path / "scene" / name for name in ("a_SR.tif", "a_metadata.json")}
    for path in paths.values():
        path.write_bytes(b"x" * 1000)
    return paths


@pytest.fixture
def demand(scene: dict[str, Path]) -> Demand:
    return Demand(
        products=("binarized", "ndvi", "stac"),
        inputs={"scene": scene},
        models={"full": "1" * 64, "optical": "2" * 64},
        config={"postprocessing": {"threshold": 0.5, "mask": "quality"}, "size": (1, 2)},
        software={"darts-nextgen": "0.1.0"},
    )


@pytest.fixture
def folder(tile: xr.Dataset, tmp_path: Path, demand: Demand) -> Path:
    inputs = {
        role: tuple(fingerprint(path, name=name) for name, path in files.items())
        for role, files in demand.inputs.items()
    }
    origin = Origin(inputs, demand.models, ("optical",), demand.config, demand.software)
    export_tile(tile, tmp_path / "out", products=demand.products, origin=origin)
    return tmp_path / "out" / "example-0"


def test_what_is_complete_and_current(folder: Path, demand: Demand) -> None:
    verdict = judge(folder, demand)
    assert verdict.is_current
    assert verdict.reasons == ()
    assert verdict.manifest is not None
    assert judge(folder, dataclasses.replace(demand, products=("ndvi",))).is_current  # more than is asked for


def test_products_of_a_model_that_was_left_out_are_not_asked_for(folder: Path, demand: Demand) -> None:
    names = ("binarized-optical", "probabilities_percent-optical", "binarized-super-optical", "binarized_above-optical")
    verdict = judge(folder, dataclasses.replace(demand, products=names))
    assert verdict.reasons == ("product added: binarized-super-optical", "product added: binarized_above-optical")


CHANGES: dict[str, tuple[dict[str, object], str]] = {
    "model": ({"models": {"full": "3" * 64, "optical": "2" * 64}}, "model changed: full"),
    "fewer models": ({"models": {"full": "1" * 64}}, "model removed: optical"),
    "more models": ({"models": {"full": "1" * 64, "optical": "2" * 64, "x": "5"}}, "model added: x"),
    "order of models": (
        {"models": {"optical": "2" * 64, "full": "1" * 64}},
        "models in another order: full, optical → optical, full",
    ),
    "option": (
        {"config": {"postprocessing": {"threshold": 0.4, "mask": "quality"}, "size": (1, 2)}},
        "option changed: postprocessing.threshold 0.5 → 0.4",
    ),
    "new option": (
        {"config": {"postprocessing": {"threshold": 0.5, "mask": "quality"}, "size": [1, 2], "date": "2021-08-21"}},
        "option changed: date not set → '2021-08-21'",
    ),
    "version": ({"software": {"darts-nextgen": "0.2.0"}}, "software changed: darts-nextgen 0.1.0 → 0.2.0"),
    "product": ({"products": ("ndvi", "dem")}, "product added: dem"),
    "no scene": ({"inputs": {}}, "input removed: scene"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_the_reason(folder: Path, demand: Demand, change: str) -> None:
    fields, reason = CHANGES[change]
    assert judge(folder, dataclasses.replace(demand, **fields)).reasons == (reason,)  # type: ignore[arg-type]


def test_changed_inputs(folder: Path, demand: Demand, scene: dict[str, Path], tmp_path: Path) -> None:
    more = {**demand.inputs, "dem": {"dem.tif": tmp_path / "dem.tif"}}
    assert judge(folder, dataclasses.replace(demand, inputs=more)).reasons == ("input added: dem",)
    scene["a_SR.tif"].write_bytes(b"x" * 999)
    assert judge(folder, demand).reasons == ("input changed: scene: a_SR.tif has 999 bytes instead of 1000",)


def _flip_last(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_products_of_a_model_that_the_tile_does_without_are_not_missed(folder: Path, demand: Demand) -> None:
    asked = dataclasses.replace(demand, products=("ndvi", "binarized-optical", "binarized-full"))
    assert judge(folder, asked).reasons == ("product added: binarized-full",)


DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("ndvi.tif", Path.unlink, "file missing: ndvi.tif"),
    "empty": ("ndvi.tif", lambda path: path.write_bytes(b""), r"file damaged: ndvi.tif has 0 bytes instead of"),
    "one bit": ("binarized.tif", _flip_last, "file damaged: binarized.tif has another content than was written"),
    "item": ("example-0.json", _flip_last, "file damaged: example-0.json has another content than was written"),
    "manifest": ("manifest.json", lambda path: path.write_bytes(b"{"), "manifest: expected a manifest at"),
    "no manifest": ("manifest.json", Path.unlink, "not finished: there is no manifest"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_and_the_next_export_mends_it(
    tile: xr.Dataset, folder: Path, demand: Demand, damage: str
) -> None:
    name, harm, reason = DAMAGES[damage]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    origin = judge(folder, demand).manifest.origin  # type: ignore[union-attr]
    harm(folder / name)
    (found,) = judge(folder, demand).reasons
    assert found.startswith(reason)
    assert "\n" not in found
    export_tile(tile, folder.parent, products=demand.products, origin=origin)
    assert judge(folder, demand).is_current
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_is_not_there_is_new(tmp_path: Path, demand: Demand) -> None:
    assert judge(tmp_path / "gone", demand).reasons == ("new",)
    (tmp_path / "empty").mkdir()
    assert judge(tmp_path / "empty", demand).reasons == ("new",)


def test_a_folder_that_was_renamed_is_another_tile(folder: Path, demand: Demand) -> None:
    other = folder.rename(folder.with_name("other"))
    assert judge(other, demand).reasons == ("another tile: the manifest is that of example-0",)


def test_a_file_that_cannot_be_read_is_damaged(folder: Path, demand: Demand, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("darts_export.staleness.sha256_of", refuse)
    assert "file damaged: ndvi.tif cannot be read (Permission denied)" in judge(folder, demand).reasons
