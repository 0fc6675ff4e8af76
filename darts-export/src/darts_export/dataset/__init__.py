"""From folders of tiles to one clean data set of slumps.

`read_archive` reads what exports have left, `observe` makes Level 1 of it, `merge_years` Level 2, and `coverage_cells` says
where and how often was looked. All of them work on one map, EPSG:3413, and measure on the ellipsoid; none writes files. Their
results depend on the content of the tiles alone: not on the order of folders, the size of partitions, or the number of workers.

===============  =============================================================================
`archive`        the objects and the trusted areas of complete tile folders
`observations`   Level 1: one row per object per image
`yearly`         Level 2: one row per object per year
`cells`          trusted area and number of images per cell and year
`grouping`       which geometries are near each other, searched partition by partition
`config`         `DatasetConfig`: every default
===============  =============================================================================
"""

from darts_export.dataset.archive import Archive, Unused, read_archive
from darts_export.dataset.cells import coverage_cells
from darts_export.dataset.config import DatasetConfig
from darts_export.dataset.observations import observe
from darts_export.dataset.yearly import merge_years

__all__ = ["Archive", "DatasetConfig", "Unused", "coverage_cells", "merge_years", "observe", "read_archive"]
