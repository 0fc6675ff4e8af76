"""Which errors may pass; those of GDAL are made by GDAL itself."""

import errno
import http.server
import os
import threading

import pytest
import rasterio
from rasterio.errors import RasterioIOError

from darts_nextgen.pipeline.transience import is_transient
from darts_utils.errors import SceneError


def error_of_opening(name):
    """What a scene raises whose raster cannot be opened."""
    with pytest.raises(RasterioIOError) as caught:
        rasterio.open(name)
    error = SceneError("cannot read the scene")
    error.__cause__ = caught.value
    return error


@pytest.fixture
def server():
    """A web server that answers everything with what ``server.answer`` says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.answer)
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("answer", "expected"), [(503, True), (429, True), (404, False), (403, False)])
def test_what_a_server_answers_decides(server, answer, expected):
    server.answer = answer
    with rasterio.Env(GDAL_HTTP_MAX_RETRY=0):
        error = error_of_opening(f"/vsicurl/http://127.0.0.1:{server.server_port}/{answer}.tif")
    assert is_transient(error) is expected


def test_a_server_that_is_away_may_come_back(server):
    server.server_close()
    assert is_transient(error_of_opening(f"/vsicurl/http://127.0.0.1:{server.server_port}/gone.tif"))


def test_the_number_that_gdal_drops_is_asked_for_again(tmp_path):
    failing = tmp_path / "failing.tif"
    failing.symlink_to("/proc/self/mem")  # the system answers a read of its beginning with EIO
    with pytest.raises(OSError, match="Input/output error") as read, failing.open("rb") as file:
        file.read(1)
    assert read.value.errno == errno.EIO
    error = error_of_opening(failing)
    assert "not recognized" in str(error.__cause__)
    assert is_transient(error)


def test_a_broken_file_stays_broken(tmp_path):
    (tmp_path / "broken.tif").write_bytes(b"II*\0 no raster")
    assert not is_transient(error_of_opening(tmp_path / "broken.tif"))
    assert not is_transient(error_of_opening(tmp_path / "gone.tif"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ESTALE, os.strerror(errno.ESTALE)), True),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), False),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (ValueError("Input/output error"), False),
        (RasterioIOError("/data/a.tif: Stale file handle"), True),
    ],
)
def test_the_number_decides_where_there_is_one(error, expected):
    assert is_transient(error) is expected


def test_errors_that_come_from_each_other_end():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_transient(first)
