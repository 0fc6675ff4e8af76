"""The DARTS pipeline: scenes and models in, maps of thaw slumps out; and the ``darts`` command line.

==============  =====================================================================================
`RunConfig`     every option of a run; `read_config` and `write_config` keep it as TOML
`run_local`     maps the scenes of a run in this process
`run_ray`       maps them on a Ray cluster; `plan_ray` says what it would use of it
`RunReport`     what became of each tile; `read_report` reads the table that a run leaves
==============  =====================================================================================

A run is an ordered list of stages (`darts_nextgen.pipeline.stages`), plain callables made from the configuration: load,
preprocess, inference, postprocess, export. The command line is composed of the commands that the installed packages
announce in the entry-point group ``darts.cli``; those of this package are in `darts_nextgen.commands`. Names are
imported when they are used, so that ``darts --help`` is quick.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_nextgen.pipeline.config import RunConfig
    from darts_nextgen.pipeline.local import run_local
    from darts_nextgen.pipeline.ray import plan_ray, run_ray
    from darts_nextgen.pipeline.report import RunReport, TileRow, read_report
    from darts_nextgen.pipeline.runfiles import read_config, write_config

_HOMES = {
    "RunConfig": "config",
    "RunReport": "report",
    "TileRow": "report",
    "plan_ray": "ray",
    "read_config": "runfiles",
    "read_report": "report",
    "run_local": "local",
    "run_ray": "ray",
    "write_config": "runfiles",
}

_EXTRAS = {"ray": "ray"}
"""Module of the pipeline → the extra that brings what it needs."""

__all__ = [
    "RunConfig",
    "RunReport",
    "TileRow",
    "plan_ray",
    "read_config",
    "read_report",
    "run_local",
    "run_ray",
    "write_config",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    extra = _EXTRAS.get(home)
    if extra is not None and importlib.util.find_spec(extra) is None:
        raise ImportError(
            f"{name} needs the package {extra!r}, which is not installed: pip install 'darts-nextgen[{extra}]'"
        )
    return getattr(importlib.import_module(f"{__name__}.pipeline.{home}"), name)
