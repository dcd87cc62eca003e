"""A process that adds files, slowly, and says on standard output what it read: for tests that kill it.

``python -m tests.integration.pipelines.ingestion.adding HOME COLLECTION SECONDS PATH...``
"""

from __future__ import annotations

import sys
from pathlib import Path

from infra.settings import load_settings
from pipelines.ingestion import open_knowledge, workers
from serving.roles import Roles
from tests.embedders import WordsEmbedding


def main(home: str, collection: str, seconds: str, *paths: str) -> None:
    read = workers.read_file

    def told(path, item, *rest):
        print(f"read {item.name}", flush=True)
        return read(path, item, *rest)

    workers.read_file = told
    put = workers.IngestWorkers._put

    async def told_put(self, batches):
        await put(self, batches)
        for batch in batches:
            for document in batch.documents:
                print(f"ready {document.document.name}", flush=True)

    workers.IngestWorkers._put = told_put
    with open_knowledge(load_settings(home=Path(home)), roles=Roles(embedding=WordsEmbedding(seconds=float(seconds)))) as knowledge:
        added = knowledge.add(list(paths), collection)
    print(f"end {sum(said['state'] == 'ready' for said in added['documents'])}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
