"""Names in the folder of the results, beside the folders of the tiles."""

from darts_export.naming import RUN_FOLDERS

RESULTS_FILE, ERRORS_FOLDER = RUN_FOLDERS
"""The results table, a folder of Parquet files; and one text file for each tile that failed, with the traceback."""
