"""The starter set in a person's workbench: its policies as a collection, its sample documents checked against them."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from infra.database.tables import AnalysisJob, User
from infra.errors import Timeout
from pipelines.compliance.samples import COLLECTION, DESCRIPTION, POLICIES, find_sample, write_sample
from workbench.services import compliance, knowledge
from workbench.services.context import Services
from workbench.services.knowledge import CollectionCard
from workbench.services.uploads import save_upload

LONGEST = 120.0
"""Seconds that the five policies may take to be read; two are usual."""
LOOK = 0.3


async def starter_collection(services: Services, user: User) -> CollectionCard:
    """The collection of the starter policies, made and filled where it is not there yet.

    Raises:
        Unavailable: the index service is still starting.
        Timeout: the policies are still being read; the job goes on.
    """
    card = next((one for one in await knowledge.list_collections(services, user) if one.mine and one.name == COLLECTION), None)
    if card is None:
        card = await knowledge.new_collection(services, user, COLLECTION, description=DESCRIPTION)
    wanted = {path.name: path for path in sorted(POLICIES.glob("*.md"))}
    there, _ = await knowledge.list_documents(services, user, card.id)
    missing = [(name, path) for name, path in wanted.items() if name not in {document.document for document in there}]
    if missing and not await knowledge.list_adding(services, user, card.id):
        await knowledge.add_files(services, user, card.id, missing)
    for _ in range(int(LONGEST / LOOK)):
        ready, _ = await knowledge.list_documents(services, user, card.id, state="ready")
        if wanted.keys() <= {document.document for document in ready}:
            return await knowledge.find_collection(services, user, card.id)
        await asyncio.sleep(LOOK)
    raise Timeout("The starter policies are still being processed. Try again in a minute.")


async def start_sample(services: Services, user: User, name: str, *, idempotency_key: str | None = None) -> AnalysisJob:
    """Check a sample document against the starter policies. The same ``idempotency_key`` again gives the same job.

    Raises:
        NotFound: there is no such sample.
        Unavailable, Timeout: as :func:`starter_collection`.
    """
    sample = find_sample(name)
    if idempotency_key is not None and (begun := await services.jobs.by_key(user.id, idempotency_key)):
        return begun
    collection = await starter_collection(services, user)
    with tempfile.TemporaryDirectory() as folder:
        path = await asyncio.to_thread(write_sample, name, Path(folder))
        upload = await save_upload(services, user, sample.file, path)
    return await compliance.start_compliance(services, user, upload.id, policies=[collection.id], idempotency_key=idempotency_key)
