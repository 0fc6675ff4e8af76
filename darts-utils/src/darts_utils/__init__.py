"""The common ground of all DARTS packages: what a tile is, and the small tools around it.

A *tile* is one ``xr.Dataset`` on one projected grid: one variable per band, mask or feature, on dims ``(y, x)``.
Everything that DARTS does is a *verb* (``tile → tile``, input untouched, with a ``_batched`` twin) or a *model class*
(``load``, ``inference``, ``inference_batched``). This package holds what they share:

==================  ====================================================================================
`variables`         the registry: name, dtype, unit, range and nodata of every tile variable
`tiles`             checks and builders: `check_tile`, `require_variables`, `variable`
`grids`             the grid of a tile and the coordinates that carry it: `geobox_of`, `coords_of`
`tile_io`           tile ↔ NetCDF, lossless and atomic; with `encoding` and `attributes`
`patches`           windows and blending weights of sliding-window inference
`device`            NumPy or CuPy, chosen by the array that came in
`kernels`           compiled kernels, their rows shared among threads; `component_kernels` find what belongs together
`objects`           8-connected objects: numbering, sizes, which reach out of the trusted area
`batching`          `batched`, which makes the twin of a verb
`models`            the `TileModel` protocol and the ``darts.models`` entry points
`config_tables`     plain tables (TOML, options) to frozen dataclasses and back
`errors`            every error class
`faults`            the boundary of one tile: what goes wrong inside becomes a value
`files`             `atomic_path`: a file has its final name only when it is complete
`logging`           log lines with the tile's id, and timings
`cli`, `commands`   the ``darts`` command line, composed of what is installed (`plugins`), and what commands share
`inference`         the sliding-window engine on torch (extra ``[torch]``)
`synthetic`         a synthetic Arctic with thaw slumps and look-alikes, truth included
`testing`           the test kit: `assert_verb_contract`, backends, Hypothesis strategies
==================  ====================================================================================
"""
