"""The command line: composed, quick, one line for what goes wrong."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import darts_nextgen
from darts_utils.plugins import command_entry_points

HEAVY = {"numpy", "torch", "ray", "rasterio", "xarray", "geopandas", "scipy", "pandas"}
DARTS = Path(sys.executable).with_name("darts")


def run_darts(*arguments, **environment):
    return subprocess.run(
        [str(DARTS), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_lists_the_commands_and_imports_nothing_heavy():
    code = (
        "import sys; from darts_utils.cli import main\n"
        "sys.argv = ['darts', '--help']\n"
        "try: main()\n"
        "except SystemExit as stop: print('exit', stop.code)\n"
        f"print('heavy', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("run", "demo", "info"):
        assert f"\n  {command} " in done.stdout
    assert "exit 0\nheavy []\n" in done.stdout


@pytest.mark.parametrize("command", ["run", "demo", "info"])
def test_every_command_explains_itself(command, darts):
    code, out, _ = darts(command, "--help")
    assert code == 0
    assert "Usage: " in out
    assert f" {command} " in out


def test_every_option_of_a_run_is_a_key_of_its_configuration(darts):
    import dataclasses
    import inspect

    from darts_nextgen.commands.options import OF_THE_COMMAND
    from darts_nextgen.commands.run import run
    from darts_nextgen.pipeline.config import RunConfig
    from darts_nextgen.pipeline.sections import SECTIONS, section_keys

    keys = {field.name for field in dataclasses.fields(RunConfig)} - set(SECTIONS)
    keys |= {key for section in SECTIONS for key in section_keys(section)}
    assert set(inspect.signature(run).parameters) - {"context", *OF_THE_COMMAND} == keys


def test_the_version_is_that_of_the_package():
    done = run_darts("--version")
    assert done.returncode == 0
    assert done.stdout == f"darts {importlib.metadata.version('darts-nextgen')}\n"


def test_without_a_command_the_help_is_shown(darts):
    code, out, _ = darts()
    assert code == 2
    assert "Usage" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum"], "No such command 'rum'"),
        (["run", "--modles", "m.pt"], "No such option: --modles"),
        (["run"], "the configuration must have models, out"),
        (["run", "--threshold", "high", "--out", "o"], "Invalid value for '--threshold'"),
        (["run", "--models", "m.pt", "--out", "o"], "expected scenes to map, but got none"),
        (["run", "--bands", "blue:1", "--models", "m.pt", "--out", "o"], "--bands: expected bands like blue=1"),
        (
            ["run", "--weights", "full:2", "--models", "m.pt", "--out", "o"],
            "--weights: expected names and numbers like",
        ),
        (["run", "--config", "gone.toml"], "expected a configuration at"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, darts):
    code, out, err = darts(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("darts: error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_an_unknown_key_of_a_file_is_refused(tmp_path, darts):
    (tmp_path / "run.toml").write_text(
        'scene = ["a"]\nmodels = ["m.pt"]\nout = "o"\n[postprocessing]\ntreshold = 0.4\n'
    )
    code, _, err = darts("run", "--config", tmp_path / "run.toml")
    assert code == 2
    assert err == "darts: error: unknown key 'treshold' in [postprocessing]: did you mean 'threshold'?\n"


@pytest.mark.parametrize("place", [0, 1, 5])
def test_debug_shows_the_traceback_and_changes_nothing_else(place):
    arguments = ["run", "--models", "m.pt", "--out", "o"]
    done = run_darts(*arguments[:place], "--debug", *arguments[place:])
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("darts: error: expected scenes to map")


def test_a_short_option_shows_the_help(darts):
    for arguments in (["-h"], ["run", "-h"]):
        code, out, _ = darts(*arguments)
        assert code == 0
        assert "Usage: " in out


def test_an_error_of_the_file_system_is_one_line(darts, monkeypatch):
    import darts_nextgen.environment

    def locked():
        raise PermissionError(13, "Permission denied", "/locked")

    monkeypatch.setattr(darts_nextgen.environment, "describe_environment", locked)
    code, _, err = darts("info")
    assert code == 2
    assert err == "darts: error: [Errno 13] Permission denied: '/locked'\n"


def test_an_interrupt_is_no_traceback(monkeypatch, darts):
    import darts_nextgen.environment

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(darts_nextgen.environment, "describe_environment", interrupted)
    code, _, err = darts("info")
    assert code == 130
    assert err == "darts: interrupted; what is complete stays\n"


def test_info_names_what_is_installed():
    done = run_darts("info")
    assert done.returncode == 0, done.stderr
    import rasterio

    for text in (
        "darts-preprocessing",
        "darts-export",
        importlib.metadata.version("torch"),
        rasterio.__gdal_version__,
        "smp",
        "darts run",
    ):
        assert text in done.stdout
    assert "auto" in done.stdout


@pytest.fixture
def other_package(tmp_path):
    """A package that is installed beside ours, and announces a good and a broken command."""
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[darts.cli]\ngreet = other_package:greet\nbroken = other_package_gone:run\nworse = other_package_worse:run\n"
    )
    (tmp_path / "other_package_worse.py").write_text("raise RuntimeError('half installed')\n")
    (tmp_path / "darts_remains-1.0.dist-info").mkdir()
    (tmp_path / "other_package.py").write_text(
        'import typer\n\ndef greet(name: str) -> None:\n    """Say hello."""\n    typer.echo(f"hello {name}")\n'
    )
    return tmp_path


def test_commands_of_other_packages_are_found(other_package):
    done = run_darts("greet", "Arctic", PYTHONPATH=str(other_package))
    assert (done.returncode, done.stdout) == (0, "hello Arctic\n")


def test_a_broken_package_does_not_stop_the_others(other_package):
    done = run_darts("--help", PYTHONPATH=str(other_package))
    assert done.returncode == 0
    assert "Say hello." in done.stdout
    assert done.stdout.count("(cannot be read: other_package_") == 2
    assert run_darts("info", PYTHONPATH=str(other_package)).returncode == 0
    done = run_darts("worse", "x", PYTHONPATH=str(other_package))
    assert done.returncode == 2
    assert "(half installed): reinstall it" in done.stderr
    done = run_darts("broken", PYTHONPATH=str(other_package))
    assert done.returncode == 2
    assert (
        "darts: error: command 'broken' is provided by 'other_package_gone:run', which cannot be imported"
        in done.stderr
    )


def test_our_commands_are_announced():
    assert {"run", "demo", "info"} <= set(command_entry_points())


def test_public_names():
    assert set(darts_nextgen.__all__) == {
        "RunConfig", "RunReport", "TileRow", "plan_ray", "read_config", "read_report", "run_local", "run_ray", "write_config",
    }  # fmt: skip
    for name in darts_nextgen.__all__:
        assert getattr(darts_nextgen, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'run_cluster'"):
        darts_nextgen.run_cluster  # noqa: B018


def test_without_its_extra_a_run_on_ray_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"run_ray needs the package 'ray', .*: pip install 'darts-nextgen\[ray\]'"):
        darts_nextgen.run_ray  # noqa: B018
