import errno
import os
import resource
import subprocess
import sys
import textwrap

import pytest

from darts_utils.errors import OutputError
from darts_utils.files import TEMPORARY_PREFIX, atomic_path


def test_the_final_name_appears_only_at_the_end(tmp_path):
    final = tmp_path / "sub" / "result.tif"
    with atomic_path(final) as temporary:
        assert temporary.parent == final.parent
        assert temporary.suffix == final.suffix
        assert temporary.name.startswith(TEMPORARY_PREFIX)
        temporary.write_bytes(b"done")
        assert not final.exists()
    assert final.read_bytes() == b"done"
    assert [entry.name for entry in final.parent.iterdir()] == ["result.tif"]


def test_a_failure_leaves_the_old_file_and_no_remains(tmp_path):
    final = tmp_path / "result[1].gpkg"
    final.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="in the middle"), atomic_path(final) as temporary:
        temporary.write_bytes(b"half")
        temporary.with_name(temporary.name + "-journal").write_bytes(b"side file")
        raise RuntimeError("in the middle")
    assert final.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [final]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="nothing was written"), atomic_path(tmp_path / "result"):
        pass


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_the_reason_of_a_failed_write_is_named(tmp_path, number, message):
    with (
        pytest.raises(OutputError, match=f"cannot write '.*result.tif'.*{message}"),
        atomic_path(tmp_path / "result.tif"),
    ):
        raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_a_file_size_limit_leaves_nothing_behind(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    program = textwrap.dedent("""
        import signal, sys
        from darts_utils.files import atomic_path
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with atomic_path(sys.argv[1]) as temporary:
            temporary.write_bytes(bytes(5000))
    """)
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "big.bin")],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "OutputError: cannot write" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_never_leaves_the_final_name(tmp_path):
    program = textwrap.dedent("""
        import os, signal, sys
        from darts_utils.files import atomic_path
        with atomic_path(sys.argv[1]) as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "result.bin")], capture_output=True, check=False
    )
    assert run.returncode == -9
    assert [entry.name.startswith(TEMPORARY_PREFIX) for entry in tmp_path.iterdir()] == [True]
