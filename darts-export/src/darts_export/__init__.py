"""The only package that writes results: a folder per tile, in which nothing half-written has its final name.

`export_tile` writes the products that are asked for into ``<out_dir>/<tile_id>/``. One table, `darts_export.products`,
says what a product's files are called, what a tile must have for it, and how it is written; the writer, the STAC item
and `missing_products` all read it.

==================  ==========================================================================================
`exporting`         `export_tile`, `missing_products`: order, completeness, the manifest as the last file
`manifest`          what the files of a tile were made from, and what they must be
`fingerprints`      size, time and hash of files
`staleness`         `judge`: whether a folder is complete and current, and why not
`checking`          `check_tile_folder`: what is missing, damaged, unfinished or unknown
`from_files`        `export_file`: tile files in, folders out
`dataset`           from the folders of many tiles to one data set, per image and per year
`products`          the table of products
`rows`              what a product is; `raster_products` and `vector_products` make the rows
`parallel`          several files at a time
`contents`          what the files of one export share: the tile, its grid, its objects
`bands` `rasters`   variables as bands of cloud-optimised GeoTIFFs
`vectors`           `segments_of`, `extent_of`: tables of polygons with area, perimeter and statistics
`vector_files`      GeoPackage and GeoParquet
`polygons` `rings`  outlines of objects, traced from their runs
`simplification`    simpler outlines that stay valid and apart
`members`           how far the members of an ensemble agree
`statistics`        probabilities within objects
`ellipsoid`         true areas and lengths
`thumbnails`        `pictures` with the outlines of the objects, and `captions`
`styles`            QGIS styles: `raster_styles`, `vector_styles`; `stretching` finds dark and bright
`metadata`          STAC items
`footprints`        outlines of grids on the globe
`config`            `ExportConfig`: every default
`options`           options of a run, as JSON keeps them
`naming`            tile ids that are safe as folder names
`tags` `text`       attributes and text that every format can hold
==================  ==========================================================================================
"""

from darts_export.config import ExportConfig
from darts_export.exporting import export_tile, export_tile_batched, missing_products
from darts_export.vectors import extent_of, segments_of

__all__ = ["ExportConfig", "export_tile", "export_tile_batched", "extent_of", "missing_products", "segments_of"]
