"""The gateway's port: taken by the supervisor itself, and kept while the gateway restarts."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

from infra.errors import ConfigurationError, Conflict


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. The gateway inherits it, so that a request that comes while it restarts waits, and is not refused.

    Raises:
        Conflict: the port is taken; the message says by whom, where that can be known, and names a free one.
        ConfigurationError: the address is none of this machine's, or the port needs rights.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ConfigurationError(f"'{host}' is not an address of this machine (--host).") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            another = f"workbench up --port {_next_free(host, port)}"
            raise Conflict(f"Port {port} is in use{_holder_sentence(port)}. Stop it, or use another port: {another}") from error
        raise ConfigurationError(f"The gateway cannot listen on {host}:{port}: {error.strerror}.") from error
    return listening


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def holder_of(port: int) -> tuple[int, str] | None:
    """Process id and command of whoever listens on ``port``; None where that cannot be known (not Linux, not ours to see)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{columns[9]}]")
    for folder in Path("/proc").glob("[0-9]*/fd") if inodes else []:
        with contextlib.suppress(OSError):
            for descriptor in os.scandir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor.path) in inodes:
                        command = (folder.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                        return int(folder.parent.name), command.strip()[:80]
    return None


def _holder_sentence(port: int) -> str:
    found = holder_of(port)
    return f" by process {found[0]} ({found[1]})" if found else ""


def _next_free(host: str, port: int) -> int:
    for candidate in range(port + 1, min(port + 100, 65536)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host if ":" not in host else "127.0.0.1", candidate))
            return candidate
    return free_port()
