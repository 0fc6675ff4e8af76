import errno
import os
import resource
import stat
import subprocess
import sys
import textwrap

import pytest

from darts_utils.errors import OutputError, SceneNotFoundError
from darts_utils.files import (
    TEMPORARY_PREFIX,
    atomic_folder,
    atomic_path,
    exists,
    is_file,
    remove_leftovers,
    sole_writer,
)


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
        (errno.EIO, "the disk reports an error"),
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


def test_errors_of_what_the_block_reads_are_not_relabelled(tmp_path):
    with pytest.raises(SceneNotFoundError, match="no elevation"), atomic_path(tmp_path / "result.tif"):
        raise SceneNotFoundError("no elevation")
    with pytest.raises(PermissionError, match="input.tif"), atomic_path(tmp_path / "result.tif"):
        raise PermissionError(errno.EACCES, "Permission denied", "/data/input.tif")
    with pytest.raises(TimeoutError), atomic_path(tmp_path / "result.tif"):
        raise TimeoutError(errno.ETIMEDOUT, "timed out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_left_as_remains_is_removed_and_hides_no_error(tmp_path):
    with pytest.raises(RuntimeError, match="the real problem"), atomic_path(tmp_path / "result.zarr") as temporary:
        temporary.mkdir()
        (temporary / "chunk").touch()
        raise RuntimeError("the real problem")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_the_old_file_and_no_remains(tmp_path):
    final = tmp_path / "result.bin"
    final.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_path(final) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert final.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [final]


def test_two_writers_of_one_name_do_not_meet(tmp_path):
    final = tmp_path / "result.bin"
    with atomic_path(final) as first, atomic_path(final) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert final.read_bytes() == b"first"  # its block ended last
    assert list(tmp_path.iterdir()) == [final]


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    def sync(descriptor, real=os.fsync):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with atomic_path(tmp_path / "result.bin") as temporary:
        temporary.write_bytes(b"done")
    assert (tmp_path / "result.bin").read_bytes() == b"done"


def test_the_longest_name_that_a_file_can_have_works(tmp_path):
    final = tmp_path / ("ü" * 125 + ".json")
    with atomic_path(final) as temporary:
        assert temporary.suffix == ".json"
        temporary.write_bytes(b"done")
    assert final.read_bytes() == b"done"
    with pytest.raises(OutputError, match="the name is too long"), atomic_path(tmp_path / ("a" * 300)) as temporary:
        temporary.write_bytes(b"done")


def test_a_folder_of_the_same_name_is_refused(tmp_path):
    (tmp_path / "result").mkdir()
    with pytest.raises(OutputError, match="a folder has this name"), atomic_path(tmp_path / "result") as temporary:
        temporary.write_bytes(b"done")


def test_leftovers_of_the_dead_are_removed_and_work_in_progress_is_not(tmp_path):
    program = "import os, sys; from darts_utils.files import atomic_path\n"
    program += "with atomic_path(sys.argv[1]) as path: path.touch(); os._exit(0)"
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "dead.tif")], check=True)
    (dead,) = tmp_path.iterdir()
    elsewhere = tmp_path / f"{TEMPORARY_PREFIX}00000000-1-abcdef01-other.tif"
    elsewhere.touch()
    with atomic_path(tmp_path / "result.tif") as temporary:
        temporary.touch()
        remove_leftovers(tmp_path)
        assert set(tmp_path.iterdir()) == {temporary, elsewhere}
    assert not dead.exists()
    remove_leftovers(tmp_path / "absent")


def test_what_cannot_be_looked_at_is_not_there(tmp_path):
    (tmp_path / "file").touch()
    assert (exists(tmp_path), is_file(tmp_path)) == (True, False)
    assert (exists(tmp_path / "file"), is_file(tmp_path / "file")) == (True, True)
    for name in ("none", "x" * 300, "a\0b"):
        assert (exists(tmp_path / name), is_file(tmp_path / name)) == (False, False)


HOLD = """
import sys
from darts_utils.files import sole_writer
with sole_writer(sys.argv[1]) as certain:
    print(certain, flush=True)
    sys.stdin.readline()
"""


def test_a_folder_has_one_writer(tmp_path):
    folder = tmp_path / "sub" / "results"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "True\n"
        with (
            pytest.raises(OutputError, match="expected to be the only writer of '.*results', but another process is"),
            sole_writer(folder),
        ):
            pass
        other.kill()
    with sole_writer(folder) as certain:  # a writer that was killed holds nothing
        assert certain
        assert list(folder.iterdir()) == []
    with sole_writer(folder) as certain, pytest.raises(OutputError, match="only writer"), sole_writer(folder):
        pass
    with sole_writer(folder) as certain:
        assert certain


def test_a_folder_that_cannot_be_made_has_no_writer(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="cannot write into '.*file/results': a part of the path is a file"),
        sole_writer(tmp_path / "file" / "results"),
    ):
        pass


def test_where_there_are_no_locks_nothing_is_certain(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with sole_writer(tmp_path) as certain:
        assert not certain


def test_the_only_writer_removes_everything_unfinished(tmp_path):
    for name in (f"{TEMPORARY_PREFIX}00000000-1-abcdef01-other.tif", f"{TEMPORARY_PREFIX}odd", "result.tif"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    remove_leftovers(tmp_path, all_writers=True)
    assert [path.name for path in tmp_path.iterdir()] == ["result.tif"]


def test_a_folder_replaces_another_one_as_a_whole(tmp_path):
    final = tmp_path / "sub" / "result"
    for name in ("one", "two"):
        with atomic_folder(final) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / name).write_text(name)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == [
        "sub",
        "sub/result",
        "sub/result/deep",
        "sub/result/deep/two",
    ]


def test_a_folder_that_fails_leaves_the_old_one_and_no_remains(tmp_path):
    final = tmp_path / "result"
    (final / "old").mkdir(parents=True)
    with pytest.raises(RuntimeError, match="in the middle"), atomic_folder(final) as temporary:
        (temporary / "half").write_text("half")
        raise RuntimeError("in the middle")
    with pytest.raises(OSError, match="an input"), atomic_folder(final):
        raise OSError(errno.EACCES, "an input", "/elsewhere/file")
    with pytest.raises(OutputError, match="cannot write '.*result'.*disk is full"), atomic_folder(final) as temporary:
        raise OSError(errno.ENOSPC, "no space", str(temporary / "deep" / "file"))
    with pytest.raises(SceneNotFoundError, match="as it is"), atomic_folder(final):
        raise SceneNotFoundError("as it is")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["result", "result/old"]
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="cannot write '.*file': a part of the path is a file"),
        atomic_folder(tmp_path / "file"),
    ):
        pass
