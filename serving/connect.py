"""``from serving import connect``: the models from a notebook or a script, in three lines.

wb = connect()
wb.segment("scan.nii.gz").structures
for piece in wb.write("What is a hippocampus?"): print(piece, end="")
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from infra.datafolder import DataFolder
from infra.errors import InvalidInput, Unavailable
from serving.loop import LoopThread
from serving.registry.versions import ModelRef
from serving.roles import Roles, role_names
from serving.roles.embedding import Embeddings
from serving.roles.entailment import Entailment
from serving.roles.llm import Message, WriteOptions
from serving.roles.segmentation import Segmentation, Volume

if TYPE_CHECKING:  # settings take a while to import, and `import serving` is in every replica
    from infra.settings import Settings


class Writing:
    """A text as it is written: iterate over its pieces, or take ``text`` for all of it.

    Attributes:
        model: which model writes (from the first piece on).
        finish: ``stop`` or ``length`` at the end.
    """

    def __init__(self, pieces: Callable[[Writing], Iterator[str]]) -> None:
        self.model: ModelRef | None = None
        self.finish: str | None = None
        self._read = ""
        self._pieces = pieces(self)

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            self._read += piece
            yield piece

    @property
    def text(self) -> str:
        """The whole text; waits for its end."""
        for _ in self:
            pass
        return self._read

    def __str__(self) -> str:
        return self.text


class Connection:
    """The models of one workbench. A context manager; also closed when the program ends.

    Attributes:
        roles: the asynchronous roles, for code with an event loop of its own.
        where: a sentence that says where the models run.
    """

    def __init__(self, roles: Roles, where: str, settings: Settings, *, end: Callable[[], None] | None = None) -> None:
        self.roles, self.where = roles, where
        self._settings, self._end, self._closed = settings, end, False
        self._loop = LoopThread()
        atexit.register(self.close)

    def segment(self, scan: str | Path | Volume, *, version: str | None = None) -> Segmentation:
        """Labels of a scan: a file (NIfTI, MGZ, NRRD, DICOM or a zip of a series), a DICOM folder, or a volume."""
        from serving.http import HttpRole

        role = self.roles.require("segmentation")
        if isinstance(scan, Volume):
            return self._loop.run(role.segment(scan, version=version))
        path = Path(scan).expanduser()
        if isinstance(role, HttpRole) and path.is_file():  # the gateway reads its format
            return self._loop.run(role.segment(path, version=version))
        from serving.volume import read_scan

        return self._loop.run(role.segment(read_scan(path, self._settings.imaging).volume, version=version))

    def embed(self, texts: str | Sequence[str], *, version: str | None = None) -> Embeddings:
        """Unit vectors, ``(texts, dimensions)``; a single text gives one row."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        return self._loop.run(self.roles.require("embedding").embed(texts, version=version))

    def entail(self, pairs: Sequence[tuple[str, str]], *, version: str | None = None) -> Entailment:
        """Whether each pair's passage entails its claim: probabilities ``(pairs, 3)`` of ``ENTAILMENT_LABELS``."""
        return self._loop.run(self.roles.require("entailment").entail(list(pairs), version=version))

    def write(
        self,
        prompt: str | Sequence[Message],
        *,
        max_tokens: int = WriteOptions.max_tokens,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        repetition_penalty: float = WriteOptions.repetition_penalty,
        version: str | None = None,
    ) -> Writing:
        """A text, piece by piece. Leaving the iteration stops the model."""
        role = self.roles.require("llm")
        messages = [Message("user", prompt)] if isinstance(prompt, str) else list(prompt)
        options = WriteOptions(max_tokens, temperature, tuple(stop), repetition_penalty)

        def pieces(writing: Writing) -> Iterator[str]:
            with contextlib.closing(self._loop.iterate(role.write(messages, options, version=version))) as deltas:
                for delta in deltas:
                    writing.model, writing.finish = delta.model, delta.finish
                    if delta.text:
                        yield delta.text

        return Writing(pieces)

    def close(self) -> None:
        """Let go; what this connection started, it stops."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._loop.close()
        if self._end:
            self._end()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        there = [role for role in role_names() if role not in self.roles.missing()]
        return f"<Workbench: {', '.join(there) or 'no models'}; {self.where}>"


def connect(url: str | None = None, *, address: str | None = None, settings: Settings | None = None) -> Connection:
    """Find a workbench, or start its models here.

    In this order: the gateway at ``url`` (or ``WORKBENCH_URL``); the Ray cluster at ``address`` (or the settings'); the
    workbench that runs on the data folder of this machine, through its gateway (joining its Ray would take seconds of imports
    before the first call), or by its Ray while the gateway does not answer; a gateway at the default port; else Ray and the
    models are started for this program alone, and stopped with it.

    Raises:
        Unavailable: an address was named, and nothing answers there.
        NotSignedIn: the gateway at ``url`` wants a token: set ``WORKBENCH_TOKEN``.
    """
    from infra.settings import load_settings

    settings = settings or load_settings()
    url = url or os.environ.get("WORKBENCH_URL")
    if url:
        if not _answers(url):
            raise Unavailable(f"No workbench answers at {url}. Start one with `workbench up`, or leave the address out.")
        return _over_http(url, settings)
    if address or settings.ray.address:
        return _over_ray(address or str(settings.ray.address), settings, own=False)
    running = DataFolder(settings.home).running()
    if running and _answers(running.url):
        return _over_http(running.url, settings)
    if running and running.ray_address:
        with contextlib.suppress(Unavailable):  # it is starting, or another user's Python cannot join its Ray
            return _over_ray(running.ray_address, settings, own=True)
    if not running and _answers(settings.url):
        return _over_http(settings.url, settings)
    return _start_here(settings)


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url.rstrip('/')}/health/live", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidInput(f"'{url}' is not an address. Name one like http://127.0.0.1:8000.") from error


def _over_http(url: str, settings: Settings) -> Connection:
    from serving.http import http_roles

    token = os.environ.get("WORKBENCH_TOKEN")
    if not token:
        with contextlib.suppress(OSError):
            token = DataFolder(settings.home).owner_token.read_text().strip()
    return Connection(http_roles(url, token), f"through the gateway at {url}", settings)


def _over_ray(address: str, settings: Settings, *, own: bool) -> Connection:
    from serving.cluster.head import join
    from serving.cluster.remote import serve_roles

    join(address, settings if own else None)
    return Connection(serve_roles(), f"on Ray at {address}", settings, end=_leave)


def _start_here(settings: Settings) -> Connection:
    from serving.cluster.application import deploy
    from serving.cluster.head import join, start_head
    from serving.cluster.remote import serve_roles

    # A folder of its own: a workbench that is started meanwhile on the same data folder has its own Ray.
    home = settings.home.resolve() / "sessions" / str(os.getpid())
    alone = settings.model_copy(update={"home": home})
    head = start_head(alone)

    def end() -> None:
        _leave()
        head.stop()
        shutil.rmtree(home, ignore_errors=True)

    try:
        join(head.address, alone)
        deploy(settings)
        roles = serve_roles()
    except BaseException:
        end()
        raise
    return Connection(roles, f"started here, on Ray at {head.address}; stops with this program", settings, end=end)


def _leave() -> None:
    import ray

    ray.shutdown()
