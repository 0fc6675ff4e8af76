"""From folders of tiles to one clean data set of slumps.

===============  =============================================================================
`archive`        `read_archive`: the objects and the trusted areas of complete tile folders
===============  =============================================================================
"""
