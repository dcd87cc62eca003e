import subprocess
import sys

import pytest

from infra.datafolder import DataFolder, Running, write_private
from infra.errors import Conflict

RUNNING = Running(pid=1, url="http://127.0.0.1:8000", ray_address=None, mlflow_url=None, started_at="2026-01-01")


def test_a_second_owner_is_refused_and_told_who(tmp_path):
    folder = DataFolder(tmp_path)
    with folder.lock():
        folder.write_running(RUNNING)
        with pytest.raises(Conflict, match=r"process 1, http://127\.0\.0\.1:8000"), DataFolder(tmp_path).lock():
            pass
        assert folder.running() == RUNNING


def test_a_stale_note_is_ignored(tmp_path):
    folder = DataFolder(tmp_path)
    with folder.lock():
        folder.write_running(RUNNING)
    assert folder.running() is None


def test_a_killed_owner_leaves_no_lock(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from infra.datafolder import DataFolder\n"
        "with DataFolder(Path(sys.argv[1])).lock(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with DataFolder(tmp_path).lock():
        pass


def test_secret_is_made_once_and_private(tmp_path):
    folder = DataFolder(tmp_path)
    assert folder.secret() == folder.secret() and len(folder.secret()) > 40
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0


def test_exclusive_write_keeps_what_is_there(tmp_path):
    write_private(tmp_path / "a", "first", exclusive=True)
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "a", "second", exclusive=True)
    assert (tmp_path / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
