"""The pipeline, one idea per module.

==============  ===========================================================================================
`config`        `RunConfig`: every option of a run; its sections are the packages' own dataclasses
`tables`        plain tables to dataclasses and back: unknown keys and wrong types are named
`runfiles`      TOML files to configurations and back
`tasks`         which scenes, and under which tile id
`requirements`  whether the run can make what its models and products need
`stages`        the ordered stages of a run, built from its configuration
`plan`          everything that can be found out, and refused, before the first tile
`local`         runs the stages in this process, tile by tile
`report`        what became of each tile, and its table
`rows`          tiles as rows of Arrow tables, and back: the only place where xarray and Ray meet
`resources`     what the stages of a Ray run may use
`ray`           runs the stages on a Ray cluster; `ray_stream` chains its operators, `ray_workers` is what they do,
                `ray_cluster` the connection
==============  ===========================================================================================
"""
