"""A real gateway on a port of its own: uvicorn, tables, store and jobs are real; models are small real ones."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI

from infra.database import Database, migrate
from infra.database.tables import User
from infra.errors import Unavailable
from infra.settings import Settings, load_settings
from serving.registry.versions import ModelRef
from serving.roles import Roles
from serving.roles.embedding import Embeddings
from serving.roles.entailment import Entailment
from serving.roles.llm import Delta
from serving.roles.segmentation import Quality, Segmentation
from workbench.gateway import build_gateway
from workbench.services.context import Services, make_services

REF = ModelRef("embedding", "hashes", "1", "0" * 64, "numpy", "cpu")


class HashedWords:
    """An embedding model: a unit vector from the text's digest."""

    async def embed(self, texts, *, version=None):
        rows = [np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8).astype(np.float32) for text in texts]
        vectors = np.stack([row / np.linalg.norm(row) for row in rows])
        return Embeddings(vectors, REF)


class SharedWords:
    """An entailment model: the share of the claim's words that the passage has is entailed, the rest not mentioned."""

    async def entail(self, pairs, *, version=None):
        shares = [len(set(claim.split()) & set(passage.split())) / max(1, len(set(claim.split()))) for claim, passage in pairs]
        return Entailment(np.array([[share, 0, 1 - share] for share in shares], np.float32).reshape(-1, 3), REF)


class Echo:
    """A language model that says the last message again, a word at a time; it fails where it reads 'fail'."""

    async def write(self, messages, options=None, *, version=None):
        words = messages[-1].content.split()
        for number, word in enumerate(words, 1):
            if word == "fail":
                raise Unavailable("The model has stopped.")
            yield Delta(word, REF, None, number)
        yield Delta("", REF, "stop", len(words))


class Threshold:
    """A segmentation model: every voxel above the mean is 'left cerebral white matter'."""

    async def segment(self, volume, *, version=None):
        labels = np.where(volume.data[0] > volume.data[0].mean(), 2, 0).astype(np.int16)
        return Segmentation(labels, volume.affine, {}, Quality("good", 1.0), REF)


@dataclass
class Running:
    """A gateway that runs: its address, what it works with, and clients for it."""

    url: str
    services: Services
    token: str
    app: FastAPI

    def client(self, **headers: str) -> httpx.Client:
        """Signed in by the owner's token."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}", **headers}, trust_env=False, timeout=60)

    def stranger(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    @contextlib.contextmanager
    def browser(self, user: User | None = None) -> Iterator[httpx.Client]:
        """Signed in by a link, as a browser does; as the owner where nobody is named."""
        with httpx.Client(base_url=self.url, headers={"Accept": "text/html,*/*"}, trust_env=False, timeout=60) as client:
            link = self.services.accounts.make_link(user or self.services.accounts.ensure_owner(), url=self.url)
            assert client.get(link).status_code == 303
            yield client


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def gateway(*, pages: bool, settings: Settings | None = None) -> Iterator[Running]:
    """A gateway without Ray, on the settings' data folder and port; by default on a port of its own."""
    settings = settings or load_settings(gateway={"port": free_port(), "max_upload_mb": 3}, imaging={"reader_memory_mb": 512})
    migrate(Database(settings.database_url))
    services = make_services(settings)
    services.connected = Roles(segmentation=Threshold(), llm=Echo(), embedding=HashedWords(), entailment=SharedWords())
    token = services.accounts.ensure_owner_token(services.accounts.ensure_owner())
    app = build_gateway(services, pages=pages)
    server = uvicorn.Server(uvicorn.Config(app, port=settings.gateway.port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, name="gateway")
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield Running(settings.url, services, token, app)
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def running() -> Iterator[Running]:
    """A gateway without pages and without Ray."""
    with gateway(pages=False) as found:
        yield found
