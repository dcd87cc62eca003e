"""A real OpenSearch 2.19.1 with k-NN on this machine, for the tests: ``python -m infra.deploy.opensearch.run``.

Maven brings it once (53 MB) into the user's cache; it starts in about 8 seconds. WORKBENCH_OPENSEARCH_URL names another
server instead. Use the k-NN engine ``lucene`` with it: this package has no native library, and ``faiss`` hangs.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench" / "opensearch-2.19.1"
MAIN = "org.codelibs.opensearch.runner.OpenSearchRunner"


class CannotStart(RuntimeError):
    """Why there is no OpenSearch on this machine."""


@contextlib.contextmanager
def opensearch(*, memory: str = "1g", patience: float = 120.0) -> Iterator[str]:
    """The address of a running server: the one that WORKBENCH_OPENSEARCH_URL names, or one that lives while the block runs.

    Raises:
        CannotStart: no Java or Maven, no network at the first start, or it did not answer in time.
    """
    named = os.environ.get("WORKBENCH_OPENSEARCH_URL")
    if named:
        yield named
        return
    bring()
    with tempfile.TemporaryDirectory(prefix="opensearch-") as folder:
        base = _free_port() - 1  # the first node listens one above the base
        separator = os.pathsep
        command = [
            "java", f"-Xmx{memory}", f"-Xms{memory}", "-XX:+UseSerialGC", "-cp", f"{CACHE}/lib/*{separator}{CACHE}/knn/*", MAIN,
            "-basePath", folder, "-numOfNode", "1", "-baseHttpPort", str(base), "-clusterName", f"test-{os.getpid()}",
            "-pluginTypes", "org.opensearch.knn.plugin.KNNPlugin",
        ]  # fmt: skip
        with open(Path(folder) / "output.log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{base + 1}"
            _wait(process, url, patience, Path(folder) / "output.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def bring() -> None:
    """Have Maven fetch the jars, unless they are there."""
    if (CACHE / "complete").exists():
        return
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise CannotStart(f"{tool} is not installed (Java 17 and Maven are needed)")
    partial = CACHE.with_name(f"{CACHE.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        done = subprocess.run(
            ["mvn", "-q", "-B", "-f", str(POM), "package", f"-Dtarget={partial}"], capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            raise CannotStart(f"Maven could not bring it: {(done.stdout or done.stderr).strip()[:300]}")
        (partial / "complete").touch()
        shutil.rmtree(CACHE, ignore_errors=True)
        partial.rename(CACHE)
    except subprocess.TimeoutExpired as error:
        raise CannotStart("Maven took more than ten minutes") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], url: str, patience: float, log: Path) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotStart(f"it ended at once: {log.read_text(errors='replace')[-300:]}")
        try:
            health = f"{url}/_cluster/health?wait_for_status=yellow&timeout=5s"
            with urllib.request.urlopen(health, timeout=10) as answer:  # noqa: S310 # nosec B310  # our own server on the loopback
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise CannotStart(f"it did not answer within {patience:.0f} s")


def _free_port() -> int:
    """A free port of those that the runner takes: it refuses any above 9299."""
    for port in random.sample(range(9202, 9300), 98):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise CannotStart("no port between 9202 and 9299 is free")


def main() -> None:
    with opensearch() as url:
        print(url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while sys.stdin.readline():
                pass


if __name__ == "__main__":
    main()
