"""From the levels of a data set to a folder that a repository can publish.

`build_dataset` makes the levels (`darts_export.dataset.building`) and publishes them: nothing has its final name before all
of it is complete, the manifest comes last, and the same tiles and options give the same bytes.

==================  ========================================================================================
`datasets`          `build_dataset`: from folders of tiles to a published data set
`files`             which files there are, and what each is made of
`settings`          options from a TOML file
`config`            `Publication`, `Author`: what a data set says about itself
`tables` `columns`  the registry of tables and columns, which schemas, dictionary, STAC and checks all read
`names`             names of the files
`staging`           where files wait until all are there
`record`            the manifest
`batches`           tables larger than memory, a fixed number of rows at a time
`geographic`        from EPSG:3413 to EPSG:4326, across the antimeridian and around the pole
`geoparquet`        GeoParquet, row group by row group
`geopackages`       GeoPackages of several layers
`facts`             rows, place and time of a table
`collection`        STAC collection and items
`dictionary`        the data dictionary
`documents`         README, citation, list of tiles
`left_out`          the folders that a standing data set does without, judged anew
`licences`          texts of licences
`checksums`         ``SHA256SUMS``
==================  ========================================================================================
"""
