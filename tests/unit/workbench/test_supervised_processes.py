import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from infra.errors import ConfigurationError, Conflict
from workbench.supervisor.child import Child
from workbench.supervisor.ports import free_port, holder_of, listen
from workbench.supervisor.processes import MARK, end_marked, marked, measure

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(check, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if check():
            return True
        time.sleep(0.05)
    return False


def test_a_busy_port_is_told_with_its_holder_and_a_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert holder_of(port)[0] == os.getpid()
        with pytest.raises(Conflict) as refused:
            listen("127.0.0.1", port)
    assert f"Port {port} is in use by process {os.getpid()}" in refused.value.message and "--port" in refused.value.message


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ConfigurationError):
        listen("203.0.113.7", free_port())
    with pytest.raises(ConfigurationError):
        listen("no such host.invalid", free_port())


def test_the_listening_socket_waits_for_its_gateway():
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname(), timeout=2) as visitor:
        accepted, _ = listening.accept()
        accepted.sendall(b"hello")
        assert visitor.recv(5) == b"hello"
        accepted.close()


def test_marked_processes_are_found_measured_and_ended(tmp_path):
    mine = subprocess.Popen(SLEEP, env={**os.environ, MARK: str(tmp_path)})
    # A grandchild whose parent is gone, as Ray's workers are when their raylet is killed.
    orphan = int(subprocess.check_output(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], env={**os.environ, MARK: str(tmp_path)}))
    other = subprocess.Popen(SLEEP, env={**os.environ, MARK: str(tmp_path / "other")})
    try:
        assert wait_until(lambda: set(marked(tmp_path)) == {mine.pid, orphan})
        assert all(process.pss_mb is not None for process in measure([mine.pid, orphan]))
        assert end_marked(tmp_path) == 2
        assert mine.wait(5) == -signal.SIGTERM and not alive(orphan) and alive(other.pid)
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()


async def test_a_child_logs_and_is_stopped(tmp_path):
    script = "import sys, time; print('hello', flush=True); print('oh', file=sys.stderr, flush=True); time.sleep(600)"
    child = Child("test", [sys.executable, "-c", script], dict(os.environ), tmp_path / "logs" / "test.log", nice=3)
    await child.start()
    assert await asyncio.to_thread(wait_until, lambda: "oh" in child.last_words())
    assert child.running and os.getpriority(os.PRIO_PROCESS, child.process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 3
    await child.stop(grace=5)
    assert not child.running and child.ended_how() == "was killed (SIGTERM)" and "hello" in child.last_words()


async def test_a_child_that_does_not_listen_is_killed(tmp_path):
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    child = Child("test", [sys.executable, "-c", script], dict(os.environ), tmp_path / "test.log")
    await child.start()
    assert await asyncio.to_thread(wait_until, lambda: "deaf" in child.last_words())
    began = time.monotonic()
    await child.stop(grace=0.3)
    assert child.ended_how() == "was killed (SIGKILL)" and time.monotonic() - began < 3


def test_children_end_with_a_supervisor_that_is_killed(tmp_path):
    script = textwrap.dedent(f"""
        import asyncio, os, sys
        from pathlib import Path
        from workbench.supervisor.child import Child
        async def main():
            command = [sys.executable, "-c", "import time; time.sleep(600)"]
            child = Child("test", command, dict(os.environ), Path({str(tmp_path)!r}) / "test.log")
            await child.start()
            print(child.process.pid, flush=True)
            await asyncio.sleep(600)
        asyncio.run(main())
    """)
    supervisor = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = int(supervisor.stdout.readline())
    assert alive(child)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    assert wait_until(lambda: not alive(child))


async def test_a_large_log_is_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.supervisor.child.LARGEST_LOG", 10)
    log = tmp_path / "test.log"
    log.write_text("old lines\n" * 10)
    child = Child("test", [sys.executable, "-c", "print('new')"], dict(os.environ), log)
    await child.start()
    await child.process.wait()
    assert log.read_text() == "new\n" and (tmp_path / "test.log.1").read_text().startswith("old lines")
