"""Uploaded DICOM files: removed as soon as they were read, but not before the last job that is to read them, and not before the
retention is over (``imaging.keep_originals_minutes``). Light imports: the runner looks here now and then.

A job that has read an upload leaves a note under :data:`FOLDER`; the notes are what is looked through.
"""

from __future__ import annotations

import hashlib
import json
import time
from datetime import timedelta

from sqlmodel import Session, col, func, select

from infra.database import Database, as_utc
from infra.database.tables import AnalysisJob, Upload, now
from infra.errors import NotFound
from infra.objectstore import ObjectStore
from infra.settings import Settings
from infra.telemetry import logger

log = logger(__name__)

FOLDER = "originals"
FIRST_STAGE = "receive"  # the only one that reads the upload
BEGUN_LATEST = timedelta(hours=1)
"""An upload that no job has asked for since waits at most this long for one."""


def note_read(store: ObjectStore, bucket: str, key: str) -> None:
    """Note that an upload was read, so that it goes when nobody needs it any more."""
    name = f"{FOLDER}/{hashlib.sha256(key.encode()).hexdigest()}.json"
    store.put(bucket, name, json.dumps({"key": key, "read": time.time()}).encode(), media_type="application/json")


def drop_read(settings: Settings, database: Database, store: ObjectStore, *, reader: str = "") -> int:
    """Delete the uploads that were read and that nobody needs any more; gives how many.

    Args:
        reader: a job that has just read its upload, though its row still says that it is about to.
    """
    bucket, dropped = settings.storage.buckets.uploads_raw, 0
    for info in list(store.list(bucket, f"{FOLDER}/")):
        try:
            note = json.loads(store.get(bucket, info.key))
        except NotFound:
            continue  # another one was faster
        if time.time() < note["read"] + 60 * settings.imaging.keep_originals_minutes:
            continue
        with database.session() as session:
            needed = _needed(session, note["key"], reader)
        if not needed:
            store.delete(bucket, note["key"])
            store.delete(bucket, info.key)
            dropped += 1
    if dropped:
        log.info("uploads removed after reading", count=dropped)
    return dropped


def _needed(session: Session, key: str, reader: str) -> bool:
    """Whether a job is still to read the upload, or it was sent again for a job that is yet to begin."""
    of_key = (AnalysisJob.pipeline == "imaging", AnalysisJob.input["key"].as_string() == key)  # type: ignore[index]
    live = select(AnalysisJob).where(*of_key, col(AnalysisJob.state).in_(("queued", "running")), AnalysisJob.id != reader)
    if any(job.stage in (None, FIRST_STAGE) for job in session.exec(live)):
        return True
    newest = session.exec(select(func.max(AnalysisJob.created_at)).where(*of_key)).one()
    sent = session.exec(select(func.max(Upload.created_at)).where(Upload.key == key)).one()
    return sent is not None and as_utc(sent) > now() - BEGUN_LATEST and (newest is None or as_utc(sent) > as_utc(newest))
