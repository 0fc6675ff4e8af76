"""The pipeline, one idea per module.

==============  ===========================================================================================
`config`        `RunConfig`: every option of a run; its sections are the packages' own dataclasses
`sections`      the options of the single steps; `scene_options` are those of the scenes, shared with trainings
`runfiles`      TOML files to configurations and back
`streams`       scenes that arrive while the run goes on
`tasks`         which scenes, and under which tile id
`queueing`      scenes in the order in which they are taken up
`requirements`  whether the run can make what its models and products need
`stages`        the ordered stages of a run, built from its configuration
`notes`         what a run notes on a tile for itself
`plan`          everything that can be found out, and refused, before the first tile
`tile_steps`    steps done to one tile; what goes wrong becomes its row
`transience`    errors that may pass
`local`         runs the stages in this process, tile by tile
`report`        what became of each tile, and its table, in the places that `layout` names
`partitions`    the table while a run goes on
`rates`         how fast a run goes
`rows`          tiles as rows of Arrow tables, and back: the only place where xarray and Ray meet
`resources`     what the stages of a Ray run may use
`ray`           runs the stages on a Ray cluster; `ray_workers` is what they do there, `ray_cluster` the connection
`software`      the versions and the code of a process, by which the nodes of a cluster are compared
`node_watch`    nodes that the cluster of a run loses, in its log
`ray_feed`      any number of scenes through operators that `ray_stream` chains; `ray_board` hands them out
`admission`     how many scenes are on their way at once
==============  ===========================================================================================
"""
