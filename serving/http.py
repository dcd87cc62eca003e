"""Roles of a workbench behind its gateway, over HTTP."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from infra.errors import InvalidInput, Unavailable, WorkbenchError, from_dict
from infra.telemetry import correlation_id
from serving.contracts import (
    ENTAILMENT_LABELS,
    Delta,
    Embeddings,
    Entailment,
    Message,
    ModelRef,
    Quality,
    Segmentation,
    Structure,
    Volume,
    WriteOptions,
    checked_pairs,
    checked_texts,
)
from serving.roles import Roles

TIMEOUT = httpx.Timeout(600.0, connect=5.0)


class Gateway:
    """A connection to a gateway; every request carries the token and the correlation id."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=TIMEOUT)

    async def post(self, path: str, **arguments: Any) -> httpx.Response:
        """Raises the :class:`WorkbenchError` that the gateway answered, or Unavailable where it does not answer."""
        try:
            response = await self.client.post(path, headers=_traced(), **arguments)
        except httpx.HTTPError as error:
            raise self.silent() from error
        if response.status_code >= 400:
            raise error_in(response)
        return response

    def silent(self) -> Unavailable:
        return Unavailable(f"The workbench at {self.url} does not answer. Is it running (`workbench status`)?")


class HttpEmbedding:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def embed(self, texts: Sequence[str], *, version: str | None = None) -> Embeddings:
        texts = checked_texts(texts)
        parts: list[np.ndarray] = []
        model: ModelRef | None = None
        for start in range(0, max(1, len(texts)), 1024):  # the gateway takes this many at once
            answer = (
                await self._gateway.post("/models/embedding/embed", json={"texts": list(texts[start : start + 1024]), "version": version})
            ).json()
            parts.append(np.array(answer["vectors"], np.float32))
            model = ModelRef(**answer["model"])
        assert model is not None
        return Embeddings(np.concatenate(parts), model)


class HttpEntailment:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def entail(self, pairs: Sequence[tuple[str, str]], *, version: str | None = None) -> Entailment:
        pairs = checked_pairs(pairs)
        rows: list[list[float]] = []
        model: ModelRef | None = None
        for start in range(0, max(1, len(pairs)), 1024):  # the gateway takes this many at once
            part = [{"claim": claim, "passage": passage} for claim, passage in pairs[start : start + 1024]]
            answer = (await self._gateway.post("/models/entailment/entail", json={"pairs": part, "version": version})).json()
            rows += [[found[label] for label in ENTAILMENT_LABELS] for found in answer["answers"]]
            model = ModelRef(**answer["model"])
        assert model is not None
        return Entailment(np.array(rows, np.float32).reshape(-1, len(ENTAILMENT_LABELS)), model)


class HttpLanguage:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def write(
        self, messages: Sequence[Message], options: WriteOptions = WriteOptions(), *, version: str | None = None
    ) -> AsyncIterator[Delta]:
        """Closing the iterator closes the request, and the model stops writing."""
        body = {**asdict(options), "messages": [asdict(message) for message in messages], "version": version}
        try:
            async with self._gateway.client.stream("POST", "/models/llm/write", json=body, headers=_traced()) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise error_in(response)
                kind = ""
                async for line in response.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        data = json.loads(value)
                        if kind == "error":
                            raise error_of(data)
                        yield Delta(**{**data, "model": ModelRef(**data["model"])})
                    elif not line:
                        kind = ""
        except httpx.HTTPError as error:
            raise self._gateway.silent() from error


class HttpSegmentation:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def segment(self, volume: Volume, *, version: str | None = None) -> Segmentation:
        """The volume travels as a NIfTI file, so it must have one channel."""
        import nibabel as nib

        from serving.volume.write import write_scan

        if len(volume.channels) != 1:
            raise InvalidInput(f"Over HTTP a scan with one channel can be segmented; this one has {len(volume.channels)}.")
        header = nib.Nifti1Image(volume.data[0], volume.affine).header
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scan.nii.gz"
            write_scan(path, volume.data[0], header)
            return await self.segment_file(path, version=version)

    async def segment_file(self, path: Path, *, version: str | None = None) -> Segmentation:
        """A file as it is: the gateway reads its format."""
        with open(path, "rb") as file:  # noqa: ASYNC230 - opening blocks for microseconds; httpx reads as it sends
            form = {"version": version} if version else {}
            response = await self._gateway.post("/models/segmentation/segment", data=form, files={"file": (path.name, file)})
        with np.load(io.BytesIO(response.content)) as arrays:
            return _segmentation(json.loads(response.headers["x-segmentation"]), arrays["labels"], arrays["affine"])


def http_roles(url: str, token: str | None) -> Roles:
    """Roles behind the gateway at ``url``. What no model fulfils there answers with ModelMissing."""
    gateway = Gateway(url, token)
    return Roles(
        segmentation=HttpSegmentation(gateway),
        embedding=HttpEmbedding(gateway),
        llm=HttpLanguage(gateway),
        entailment=HttpEntailment(gateway),
    )


def error_in(response: httpx.Response) -> WorkbenchError:
    """The error that a refused request's body tells."""
    try:
        return error_of(response.json())
    except (ValueError, AttributeError):
        return WorkbenchError(f"The workbench answered with status {response.status_code}.")


def error_of(problem: dict[str, Any]) -> WorkbenchError:
    """The error of a problem document."""
    details = {**(problem.get("details") or {}), "correlation_id": problem.get("correlation_id")}
    return from_dict({"code": problem.get("code"), "message": problem.get("detail") or problem.get("title"), "details": details})


def _traced() -> dict[str, str]:
    current = correlation_id()
    return {"X-Correlation-ID": current} if current else {}


def _segmentation(facts: dict[str, Any], labels: np.ndarray, affine: np.ndarray) -> Segmentation:
    structures = {int(label): Structure(**fields) for label, fields in facts["structures"].items()}
    quality = Quality(facts["quality"]["verdict"], facts["quality"]["score"], tuple(facts["quality"]["reasons"]))
    return Segmentation(labels, affine, structures, quality, ModelRef(**facts["model"]), facts["seconds"])
