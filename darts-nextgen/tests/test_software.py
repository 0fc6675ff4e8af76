"""The versions that the nodes of a cluster are compared by."""

import importlib.metadata
import shutil
from pathlib import Path

import pytest

import darts_export
import darts_nextgen
from darts_nextgen.pipeline.software import CODE, check_versions, code_digest, versions
from darts_utils.errors import ConfigError


def test_all_darts_packages_and_what_they_require_are_among_the_versions():
    found = versions()
    ours = {"darts-ensemble", "darts-export", "darts-nextgen", "darts-postprocessing", "darts-preprocessing"}
    ours |= {"darts-segmentation", "darts-utils"}
    assert {name for name in found if name.startswith("darts-")} == ours
    others = {
        "numba",
        "numpy",
        "odc-geo",
        "pyarrow",
        "rasterio",
        "ray",
        "scipy",
        "segmentation-models-pytorch",
        "torch",
    }
    assert {name: found[name] for name in others} == {name: importlib.metadata.version(name) for name in others}
    assert "hypothesis" not in found  # tests need it, runs do not


def test_nodes_with_other_versions_are_refused():
    with pytest.raises(ConfigError, match=r"node a has numpy 1\.0 instead of .*, torch none instead of"):
        check_versions(
            {name: value for name, value in versions().items() if name != "torch"} | {"numpy": "1.0"},
            expected=versions(),
            node="a",
        )
    check_versions(versions(), expected=versions(), node="a")
    check_versions({**versions(), "other": "1"}, expected=versions(), node="a")


def test_a_changed_line_is_another_code(tmp_path):
    for module in (darts_export, darts_nextgen):
        shutil.copytree(Path(module.__file__).parent, tmp_path / module.__name__)
    folders = [tmp_path / "darts_export", tmp_path / "darts_nextgen"]
    before = code_digest(folders)
    assert before == code_digest([Path(darts_export.__file__).parent, Path(darts_nextgen.__file__).parent])
    changed = folders[1] / "pipeline" / "rows.py"
    changed.write_text(changed.read_text() + "\n")
    after = code_digest(folders)
    changed.rename(changed.with_name("columns.py"))
    assert len({before, after, code_digest(folders), code_digest(folders[:1])}) == 4
    with pytest.raises(ConfigError, match=rf"node a has {CODE} {after} instead of {before}: install the same"):
        check_versions({CODE: after}, expected={CODE: before}, node="a")
