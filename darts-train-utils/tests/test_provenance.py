import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import darts_train_utils
from darts_train_utils.patch_store import PatchStore, write_scene
from darts_train_utils.provenance import data_fingerprint, git_revision, package_versions
from darts_train_utils.quantiles import middle_of, training_quantiles
from darts_train_utils.testing import write_example_store
from darts_utils.errors import TrainingDataError


def test_a_fingerprint_tells_stores_apart_and_ignores_where_they_are(tmp_path):
    write_example_store(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert data_fingerprint(tmp_path / "a") == data_fingerprint(tmp_path / "b")
    (tmp_path / "b" / "scenes" / ".darts-incomplete-x").write_text("a writer at work")
    assert data_fingerprint(tmp_path / "a") == data_fingerprint(tmp_path / "b")
    write_example_store(tmp_path / "c", seed=1)
    assert data_fingerprint(tmp_path / "a") != data_fingerprint(tmp_path / "c")


def git(folder, *arguments):
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *name, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_revision_is_what_git_says(tmp_path):
    assert git_revision(tmp_path / "nowhere") is None
    git(tmp_path, "init", "-q")
    assert git_revision(tmp_path) is None
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    (tmp_path / "src").mkdir()
    head = git(tmp_path, "rev-parse", "HEAD")
    assert git_revision(tmp_path / "src" / "a.py") == head
    git(tmp_path, "pack-refs", "--all")
    assert git_revision(tmp_path) == head
    git(tmp_path, "worktree", "add", "-q", "-b", "other", "tree")
    assert git_revision(tmp_path / "tree") == head
    git(tmp_path, "checkout", "-q", "--detach")
    assert git_revision(tmp_path) == head
    installed = tmp_path / "site-packages" / "x.py"
    assert git_revision(installed) is None
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert git_revision(tmp_path) is None


def test_versions():
    versions = package_versions(["numpy", "darts-train-utils", "no-such-package"])
    assert versions["numpy"] == np.__version__
    assert set(versions) == {"python", "numpy", "darts-train-utils"}
    assert Path(darts_train_utils.__file__).exists()


def test_quantiles_of_the_training_count_known_finite_pixels(tmp_path):
    values = np.arange(2 * 8 * 8, dtype="float32").reshape(2, 8, 8)
    values[0, 0, 0] = np.nan
    labels = np.zeros((2, 8, 8), "uint8")
    labels[1, 4:] = 2
    bounds = np.array([[0.0, 0, 1, 1], [1, 0, 2, 1]])
    known = {"slope": values, "dem": np.full_like(values, np.nan)}
    write_scene(tmp_path, scene="s", region="r", crs="EPSG:3413", bounds=bounds, variables=known, labels=labels)
    store = PatchStore(tmp_path)
    found = training_quantiles(store, rows=np.array([0, 1]), variables=["slope"])
    expected = values[labels != 2]
    expected = expected[np.isfinite(expected)]
    np.testing.assert_allclose(found["values"]["slope"], np.percentile(expected.astype("float64"), found["percent"]))
    assert middle_of(found, "slope") == pytest.approx(tuple(np.percentile(expected.astype("float64"), [0.1, 99.9])))
    with pytest.raises(TrainingDataError, match="expected values of dem where labels are known"):
        training_quantiles(store, rows=np.array([0]), variables=["slope", "dem"])
