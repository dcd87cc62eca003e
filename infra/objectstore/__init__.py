"""Objects (uploads, reports, weights) in a local folder or in S3, behind one contract."""

from __future__ import annotations

from infra.datafolder import DataFolder
from infra.objectstore.contract import ObjectInfo, ObjectStore
from infra.objectstore.local import LocalObjectStore
from infra.settings import Settings

__all__ = ["LocalObjectStore", "ObjectInfo", "ObjectStore", "make_object_store"]


def make_object_store(settings: Settings) -> ObjectStore:
    """The store that the settings name."""
    if settings.storage.kind == "local":
        secret = DataFolder(settings.home).make().secret()
        return LocalObjectStore(settings.objects_path, secret=secret, url=settings.url)
    from infra.objectstore.s3 import S3ObjectStore  # boto3 takes half a second, which the local profile does without

    return S3ObjectStore(settings.storage)
