"""Every member of the workspace is held to the checklist of CONTRIBUTING.md."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text())
MEMBERS = sorted(path.parent.name for path in ROOT.glob("darts-*/pyproject.toml"))
VERSION = WORKSPACE["project"]["version"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def project_of(member):
    return tomllib.loads((ROOT / member / "pyproject.toml").read_text())


def package_of(member):
    return member.replace("-", "_")


def source_files(member):
    return sorted((ROOT / member / "src" / package_of(member)).rglob("*.py"))


def test_there_are_members_and_every_darts_folder_is_one():
    assert len(MEMBERS) >= 7
    assert sorted(path.name for path in ROOT.glob("darts-*") if path.is_dir()) == MEMBERS


@pytest.mark.parametrize("member", MEMBERS)
def test_the_project_table_is_complete(member):
    project = project_of(member)
    table = project["project"]
    assert table["name"] == member
    assert table["version"] == VERSION
    assert len(table["description"]) > 30
    assert table["authors"]
    assert table["license"] == "MIT"
    assert (ROOT / member / table["license-files"][0]).read_text() == (ROOT / "LICENSE").read_text()
    assert table["requires-python"] == ">=3.11"
    assert table["readme"] == "README.md"
    assert project["build-system"]["build-backend"] == "hatchling.build"
    assert project["tool"]["ruff"]["extend"] == "../pyproject.toml"
    assert project["tool"]["rye"]["managed"] is True


@pytest.mark.parametrize("member", MEMBERS)
def test_siblings_are_pinned_to_the_same_version(member):
    table = project_of(member)["project"]
    everything = [*table["dependencies"], *chain.from_iterable(table.get("optional-dependencies", {}).values())]
    siblings = [line for line in everything if line.startswith("darts-")]
    assert member == "darts-utils" or siblings
    for line in siblings:
        assert re.fullmatch(rf"darts-[a-z-]+(\[[a-z,]+\])?=={re.escape(VERSION)}", line), line


@pytest.mark.parametrize("member", MEMBERS)
def test_files_that_every_package_has(member):
    folder = ROOT / member
    assert (folder / "README.md").read_text().startswith(f"# {member}\n")
    assert f"pip install {member}" in (folder / "README.md").read_text().replace('"', "")
    assert (folder / "src" / package_of(member) / "py.typed").exists()
    assert ast.get_docstring(ast.parse((folder / "src" / package_of(member) / "__init__.py").read_text()))
    assert list((folder / "tests").glob("test_*.py"))


@pytest.mark.parametrize("member", MEMBERS)
def test_the_root_knows_the_member(member):
    package = package_of(member)
    tool = WORKSPACE["tool"]
    assert tool["uv"]["sources"][member] == {"workspace": True}
    assert f"$MYPY_CONFIG_FILE_DIR/{member}/src" in tool["mypy"]["mypy_path"]
    assert member in tool["pytest"]["ini_options"]["testpaths"]
    assert package in tool["coverage"]["run"]["source_pkgs"]
    assert re.search(rf"^PACKAGES := .*\b{package}\b", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for lock in LOCKS:
        assert f"-e file:{member}\n" in (ROOT / lock).read_text()
    assert package in CONTRACTS["importlinter"]["root_packages"].split()
    assert package in re.split(r"[\s|]+", CONTRACTS["importlinter:contract:layers"]["layers"])


CONTRACTS = configparser.ConfigParser()
CONTRACTS.read(ROOT / ".importlinter")
BELONGS = {
    "cupy": ["darts_utils/device.py"],
    "cupyx": ["darts_utils/device.py"],
    "cucim": ["darts_utils/device.py"],
    "ray": [
        "darts_nextgen/pipeline/rows.py",
        "darts_nextgen/pipeline/ray.py",
        "darts_nextgen/pipeline/ray_board.py",
        "darts_nextgen/pipeline/ray_cluster.py",
        "darts_nextgen/pipeline/ray_feed.py",
        "darts_nextgen/pipeline/ray_stream.py",
    ],
    "typer": ["*/cli.py", "*/commands/*.py"],
    "torch": [
        "darts_utils/inference/*.py",
        "darts_segmentation/*.py",
        "darts_segmentation/training/*.py",
        "darts_ensemble/*.py",
        "darts_train_utils/*.py",
    ],
    "pickle": ["darts_utils/inference/torch_files.py"],
}
"""Library → the modules that may import it, anywhere in them."""


def test_libraries_are_imported_only_where_they_belong():
    seen = dict.fromkeys(BELONGS, 0)
    for member in MEMBERS:
        for path in source_files(member):
            name = path.relative_to(ROOT / member / "src")
            for library in set(imported_modules(path)) & set(BELONGS):
                assert any(name.match(pattern) for pattern in BELONGS[library]), f"{name} imports {library}"
                seen[library] += 1
    assert all(seen[library] for library in ("typer", "torch"))


def modules_of_darts_utils():
    root = ROOT / "darts-utils" / "src" / "darts_utils"
    names = {path.stem if path.suffix else path.name for path in root.iterdir() if not path.name.startswith("_")}
    return {f"darts_utils.{name}" for name in names if name != "py"}


@pytest.mark.parametrize("name", ["torch", "ray", "gpu", "typer"])
def test_every_package_is_in_every_contract(name):
    sources = set(CONTRACTS[f"importlinter:contract:{name}"]["source_modules"].split())
    expected = {package_of(member) for member in MEMBERS}
    if name == "torch":  # the model packages may; of darts_utils all but the engine, and the test kit, may not
        expected -= {"darts_train_utils", "darts_segmentation", "darts_ensemble", "darts_nextgen", "darts_utils"}
        expected |= modules_of_darts_utils() - {"darts_utils.inference", "darts_utils.testing"}
    assert sources == expected


@pytest.mark.parametrize("member", MEMBERS)
def test_the_documentation_knows_the_member(member):
    page = ROOT / "docs" / "reference" / f"{member}.md"
    assert f"::: {package_of(member)}" in page.read_text()
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert f"reference/{member}.md" in navigation
    assert f"{member}/src" in navigation
    assert f"(reference/{member}.md)" in (ROOT / "docs" / "architecture.md").read_text()
    assert f"[{member}]({member}/README.md)" in (ROOT / "README.md").read_text()


IMPORT_OF_DISTRIBUTION = {
    "pillow": "PIL",
    "segmentation-models-pytorch": "segmentation_models_pytorch",
    "odc-geo": "odc",
    "pyyaml": "yaml",
}


def declared_imports(requirements):
    names = {re.split(r"[\[<>=~!; ]", line)[0].lower() for line in requirements}
    return {IMPORT_OF_DISTRIBUTION.get(name, name.replace("-", "_")) for name in names}


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("member", MEMBERS)
def test_dependencies_are_exactly_what_is_imported(member):
    table = project_of(member)["project"]
    extras = chain.from_iterable(table.get("optional-dependencies", {}).values())
    allowed = declared_imports([*table["dependencies"], *extras]) | set(sys.stdlib_module_names) | {package_of(member)}
    imported = {name for path in source_files(member) for name in imported_modules(path)}
    assert imported <= allowed, f"imported but not declared: {sorted(imported - allowed)}"
    # Found at run time by name: xarray's NetCDF engine, GeoPandas' writers, timm's encoders, the model packages,
    # Lightning's logger.
    by_name = {
        "tensorboard",
        "h5netcdf",
        "h5py",
        "timm",
        "pyarrow",
        "rioxarray",
        "pyogrio",
        "geopandas",
        "darts_segmentation",
    }
    unused = declared_imports(table["dependencies"]) - imported - by_name
    assert not unused, f"declared but not imported: {sorted(unused)}"


def test_rye_tables_are_those_of_a_virtual_workspace():
    rye = WORKSPACE["tool"]["rye"]
    assert rye["managed"] is True
    assert rye["virtual"] is True
    assert rye["workspace"]["members"] == ["darts-*"]
    assert {"demo", "test"} <= set(rye["scripts"])
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name, command in rye["scripts"].items():
        assert command == f"make {name}"
        assert name in targets
    assert WORKSPACE["tool"]["uv"]["workspace"]["members"] == ["darts-*"]


LOCK_LINE = re.compile(r"(-e file:darts-[a-z-]+|[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z,-]+\])?==\S+( ; .+)?)")


@pytest.mark.parametrize("name", LOCKS)
def test_locks_are_in_ryes_format(name):
    text = (ROOT / name).read_text()
    assert text.startswith("# generated by rye\n# use `rye lock` or `rye sync` to update this lockfile\n")
    assert "#   universal: true\n" in text
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    for line in lines:
        assert LOCK_LINE.fullmatch(line), line
    assert str(ROOT) not in text


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return {line for line in lines if re.match(r"[A-Za-z0-9]", line)}


def test_the_smaller_lock_is_part_of_the_larger_one():
    versions, dev_versions = ({line.partition(" ;")[0] for line in pins(name)} for name in LOCKS)
    assert versions <= dev_versions


@pytest.mark.parametrize("member", MEMBERS)
def test_the_locks_hold_every_declared_dependency(member):
    locked = {re.split(r"[\[=]", line)[0].lower() for line in pins("requirements.lock")}
    for line in project_of(member)["project"]["dependencies"]:
        name = re.split(r"[\[<>=~!; ]", line)[0].lower()
        assert name.startswith("darts-") or name in locked, f"{line}: run make lock"


def test_the_dev_lock_holds_the_dev_dependencies():
    locked = {re.split(r"[\[=]", line)[0].lower() for line in pins("requirements-dev.lock")}
    for line in WORKSPACE["tool"]["rye"]["dev-dependencies"]:
        assert re.split(r"[\[<>=]", line)[0].lower() in locked, f"{line}: run make lock"


def test_workflows_are_valid_and_pass_nothing_from_outside_into_a_shell():
    names = {path.name for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    assert names == {"ci.yml", "docs.yml", "update_version.yml"}
    for name in names:
        workflow = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
        assert workflow["jobs"]
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                assert "${{" not in step.get("run", ""), f"{name}: hand values over through env"


def copy_of_versions(folder):
    names = ("pyproject.toml", "CITATION.cff", "CHANGELOG.md")
    for path in [*(ROOT / name for name in names), *ROOT.glob("darts-*/pyproject.toml")]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "update_version.py", folder / "scripts")


def test_the_version_script_sets_every_version_and_every_pin(tmp_path):
    copy_of_versions(tmp_path)
    script = tmp_path / "scripts" / "update_version.py"
    run = subprocess.run([sys.executable, script, "v9.8.7rc1"], capture_output=True, text=True, check=True)
    assert run.stdout.count("9.8.7rc1") == len(MEMBERS) + 3
    for path in [tmp_path / "pyproject.toml", *tmp_path.glob("darts-*/pyproject.toml")]:
        table = tomllib.loads(path.read_text())["project"]
        assert table["version"] == "9.8.7rc1"
        for line in [
            *table.get("dependencies", []),
            *chain.from_iterable(table.get("optional-dependencies", {}).values()),
        ]:
            if line.startswith("darts-"):
                assert line.endswith("==9.8.7rc1")
    assert yaml.safe_load((tmp_path / "CITATION.cff").read_text())["version"] == "9.8.7rc1"
    assert "\n## 9.8.7rc1\n" in (tmp_path / "CHANGELOG.md").read_text()
    again = subprocess.run([sys.executable, script, "v9.8.7rc1"], capture_output=True, text=True, check=True)
    assert again.stdout == ""


def test_the_version_script_refuses_what_is_no_version(tmp_path):
    copy_of_versions(tmp_path)
    script = tmp_path / "scripts" / "update_version.py"
    run = subprocess.run([sys.executable, script, "latest"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "expected a tag like v1.2.3" in run.stderr
    assert f'version = "{VERSION}"' in (tmp_path / "pyproject.toml").read_text()


def test_no_path_of_a_machine_is_committed():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout")
    suspicious = re.compile(r"(/home/|/Users/|/root/|[A-Z]:\\\\Users|/" + r"work/)")
    for name in tracked:
        path = ROOT / name
        if (
            path.is_file()
            and path.suffix in {".py", ".md", ".toml", ".yml", ".lock", ".cff", ""}
            and path != Path(__file__)
        ):
            found = suspicious.search(path.read_text(errors="ignore"))
            assert found is None, f"{name}: {found.group(0)}"


def test_every_member_is_installed_at_the_version_of_the_workspace():
    for member in MEMBERS:
        assert version(member) == VERSION
