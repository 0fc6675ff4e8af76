"""The DARTS pipeline: scenes and models in, maps of thaw slumps out; and the ``darts`` command line.

==============  =====================================================================================
`RunConfig`     every option of a run; `read_config` and `write_config` keep it as TOML
`run_local`     maps the scenes of a run in this process
`RunReport`     what became of each tile; `read_report` reads the table that a run leaves
==============  =====================================================================================

A run is an ordered list of stages (`darts_nextgen.pipeline.stages`), plain callables made from the configuration: load,
preprocess, inference, postprocess, export. The command line is composed of the commands that the installed packages
announce in the entry-point group ``darts.cli``; those of this package are in `darts_nextgen.commands`. Names are
imported when they are used, so that ``darts --help`` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_nextgen.pipeline.config import RunConfig
    from darts_nextgen.pipeline.local import run_local
    from darts_nextgen.pipeline.report import RunReport, TileRow, read_report
    from darts_nextgen.pipeline.runfiles import read_config, write_config

_HOMES = {
    "RunConfig": "config",
    "RunReport": "report",
    "TileRow": "report",
    "read_config": "runfiles",
    "read_report": "report",
    "run_local": "local",
    "write_config": "runfiles",
}

__all__ = ["RunConfig", "RunReport", "TileRow", "read_config", "read_report", "run_local", "write_config"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.pipeline.{_HOMES[name]}"), name)
