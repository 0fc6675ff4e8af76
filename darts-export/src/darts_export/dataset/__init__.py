"""From folders of tiles to one clean data set of slumps.

`build_levels` makes all levels of any number of tiles, partition by partition, and leaves them as part files. It runs the verbs
that work on tables in memory: `read_archive` reads what exports have left, `observe` makes Level 1 of it, `merge_years` Level 2,
`track` Level 3, and `coverage_cells` says where and how often was looked. All of them work on one map, EPSG:3413, and measure on
the ellipsoid; none of the verbs writes files. Their results depend on the content of the tiles alone: not on the order of folders,
the size of partitions, or the number of workers.

===================  =============================================================================
`results`            what the manifest of a tile says of its results, without reading them
`tiles`              the objects and the trusted area of one tile folder, or why not
`archive`            those of many, each tile once
`observations`       Level 1: one row per object per image
`yearly`             Level 2: one row per object per year
`watching`           which images looked at an object
`median_footprints`  where most of them see it
`tracking`           Level 3: the same slump over the years
`links`              which outlines of different years are of the same ground
`inheritance`        who bears the name of a slump of the last edition
`editions`           where the slumps of the last edition have a say
`slump_ids`          names of new slumps
`growth`             growth rates and their uncertainty
`events`             splits, mergers and names that are given up
`slump_tables`       the tables of Level 3
`cells`              trusted area and number of images per cell and year
`building`           all levels, partition by partition
`ingesting`          tiles gathered in batches on disk
`partitions`         what the files of a partition are made from, and making them
`places`             the order of rows, and squares that hold a number of them
`levels`             the part files of each level
`grouping`           which geometries are near each other, and what that connects
`uniting`            unions, intersections and majorities of many groups at a time
`measuring`          areas and perimeters on the ellipsoid
`images`             what makes an image
`processes`          work shared among processes
`config`             `DatasetConfig`: every default
===================  =============================================================================
"""

from darts_export.dataset.archive import Archive, Unused, read_archive
from darts_export.dataset.building import build_levels
from darts_export.dataset.cells import coverage_cells
from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.levels import Level, Levels, Part, UsedTile
from darts_export.dataset.observations import observe
from darts_export.dataset.tracking import Tracks, track
from darts_export.dataset.yearly import merge_years

__all__ = [
    "Archive",
    "DatasetConfig",
    "Level",
    "Levels",
    "Part",
    "Tracks",
    "Unused",
    "UsedTile",
    "build_levels",
    "coverage_cells",
    "merge_years",
    "observe",
    "read_archive",
    "track",
]
