"""Every member's wheel installs alone, into an empty environment, and works there."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UV = ROOT / ".tools" / "bin" / "uv"
MEMBERS = sorted(path.parent.name for path in ROOT.glob("darts-*/pyproject.toml"))


def clean_environment():
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def run(*command, cwd):
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def run_readme(python, member, *, cwd):
    """Run the examples of a package's README with nothing installed but what it asked for."""
    flags = ["-o", "NORMALIZE_WHITESPACE", "-o", "ELLIPSIS"]
    readme = (ROOT / member / "README.md").read_text()
    assert ">>> " in readme
    (cwd / "README.md").write_text(readme)
    run(python, "-m", "doctest", *flags, "README.md", cwd=cwd)


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    if not UV.exists():
        pytest.skip("the workspace's uv is not installed: run the tests with `make test`")
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", folder, cwd=ROOT)
    return folder


def version_of(dist, member):
    (wheel,) = dist.glob(f"{member.replace('-', '_')}-*.whl")
    return wheel.name.split("-")[1]


def test_make_dist_builds_a_typed_wheel_of_every_member(dist):
    assert len(list(dist.glob("*.whl"))) == len(MEMBERS)
    for member in MEMBERS:
        (wheel,) = dist.glob(f"{member.replace('-', '_')}-*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        assert f"{member.replace('-', '_')}/py.typed" in names
        assert not [name for name in names if "test_" in name]


@pytest.mark.slow
def test_pip_installs_one_member_alone_and_it_works(dist, tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    wanted = f"darts-postprocessing=={version_of(dist, 'darts-postprocessing')}"
    report = tmp_path / "report.json"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--find-links", dist, "--report", report]
    run(*pip, wanted, cwd=tmp_path)
    installed = {
        item["metadata"]["name"]: item["download_info"]["url"] for item in json.loads(report.read_text())["install"]
    }
    ours = {name: url for name, url in installed.items() if name.startswith("darts")}
    assert set(ours) == {"darts-postprocessing", "darts-utils"}
    for url in ours.values():
        assert url.startswith(dist.as_uri())
    assert "torch" not in installed
    run_readme(python, "darts-postprocessing", cwd=tmp_path)


@pytest.mark.parametrize(
    "member",
    [pytest.param(name, marks=() if name == "darts-postprocessing" else pytest.mark.slow) for name in MEMBERS],
)
def test_every_wheel_comes_from_dist_and_imports(member, dist, tmp_path):
    run(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    run(
        UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--find-links",
        dist,
        f"{member}=={version_of(dist, member)}",
        cwd=tmp_path,
    )
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    ours = sorted(site.glob("darts_*.dist-info"))
    assert ours
    for info in ours:
        wheel = zipfile.ZipFile(dist / f"{info.name.removesuffix('.dist-info')}-py3-none-any.whl")
        built = set(wheel.read(f"{info.name}/RECORD").decode().splitlines())
        installed = set((info / "RECORD").read_text().splitlines())
        code = {line for line in built if not line.startswith(info.name)}
        assert code
        assert code <= installed, f"{info.name} does not come from dist"
    package = member.replace("-", "_")
    out = run(python, "-c", f"import {package}; print({package}.__file__)", cwd=tmp_path)
    assert Path(out.strip()).is_relative_to(tmp_path)
    run_readme(python, member, cwd=tmp_path)
