import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infra.datafolder import DataFolder, Running, write_private
from infra.errors import ConfigurationError, Conflict

RUNNING = Running(pid=1, url="http://127.0.0.1:8000", ray_address=None, mlflow_socket=None, started_at="2026-01-01")


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


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_for_its_user_alone(tmp_path):
    earlier = os.umask(0)
    try:
        DataFolder(tmp_path / "new" / "home").make()
    finally:
        os.umask(earlier)
    assert mode(tmp_path / "new" / "home") == 0o700


@pytest.mark.parametrize("wide", [0o755, 0o770, 0o777, 0o701])
def test_a_folder_of_the_workbench_that_is_too_wide_is_closed(tmp_path, wide):
    folder = DataFolder(tmp_path / "home")
    folder.secret()
    (folder.home / "workbench.sqlite").write_text("")
    (folder.home / "workbench.sqlite").chmod(0o644)
    folder.home.chmod(wide)
    DataFolder(folder.home).make()
    assert mode(folder.home) == 0o700 and mode(folder.home / "workbench.sqlite") == 0o600


def test_an_empty_folder_is_closed(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o755)
    DataFolder(tmp_path / "home").make()
    assert mode(tmp_path / "home") == 0o700


def test_a_folder_with_other_things_that_others_may_enter_is_refused_and_left_as_it_is(tmp_path):
    home = tmp_path / "project"
    home.mkdir()
    (home / "notes.txt").write_text("mine")
    home.chmod(0o755)
    with pytest.raises(ConfigurationError, match="chmod 700"), DataFolder(home).lock():
        pass
    assert mode(home) == 0o755 and [path.name for path in home.iterdir()] == ["notes.txt"]
    home.chmod(0o700)  # closed by its user: taken
    DataFolder(home).make()


def test_a_link_with_the_name_of_an_own_file_makes_a_folder_nobodys(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "elsewhere").write_text("x")
    (home / "secret").symlink_to(tmp_path / "elsewhere")
    home.chmod(0o777)
    with pytest.raises(ConfigurationError, match="not created by the workbench"):
        DataFolder(home).make()


def test_another_users_folder_is_refused_and_its_note_not_believed(tmp_path, monkeypatch):
    folder = DataFolder(tmp_path)
    with folder.lock():
        folder.write_running(RUNNING)
        assert folder.running() == RUNNING
        monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
        assert folder.running() is None
        with pytest.raises(ConfigurationError, match="belongs to another user"):
            DataFolder(tmp_path).make()


def test_a_file_system_without_rights_is_refused(tmp_path, monkeypatch):
    folder = DataFolder(tmp_path / "home")
    folder.secret()
    folder.home.chmod(0o777)
    monkeypatch.setattr(Path, "chmod", lambda self, mode: None)
    with pytest.raises(ConfigurationError, match="keeps no access rights"):
        folder.make()


def test_a_servers_socket_lies_where_only_its_owner_gets_however_long_the_path_is(tmp_path):
    import socket

    deep = tmp_path / "a-folder-with-a-long-name" / "and-another-one-in-it-with-a-longer-name" / "home"
    for home in (tmp_path / "home", deep):
        path = DataFolder(home).make().socket_path("mlflow")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.is_relative_to(tmp_path)
