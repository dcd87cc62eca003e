"""What makes two analyses the same: the scan's bytes, and everything that decides what comes out of them."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.errors import NotFound
from infra.objectstore.contract import file_sha256

_EPOCH = (1980, 1, 1, 0, 0, 0)


def content_digest(files: Sequence[Path]) -> str:
    """Hex sha256 of a scan's content: of its file, or of its slices' digests, whatever they are called.

    Raises:
        NotFound: a file is not there (a link into a git-annex whose content was not fetched).
    """
    try:
        digests = sorted(file_sha256(path) for path in files)
    except OSError as error:
        raise NotFound(f"Cannot read the file: {error.strerror}. If it is a link, fetch its content first.") from None
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def work_key(content: str, options: Mapping[str, Any], model: Mapping[str, Any] | None, plan: str) -> str:
    """32 hex digits: the same where the same analysis of the same content was asked for.

    Args:
        content: of :func:`content_digest`.
        options: of the analysis.
        model: the segmentation model that will be asked (its version and digest): another champion is other work.
        plan: the version of the pipeline.
    """
    said = {name: (model or {}).get(name) for name in ("version", "digest")}
    return hashlib.sha256(json.dumps([content, dict(options), said, plan], sort_keys=True).encode()).hexdigest()[:32]


def as_one_file(files: Sequence[Path], folder: Path, name: str) -> Path:
    """The scan as one file: itself, or its slices in a zip in ``folder`` (not packed, without their names, and the
    same bytes every time)."""
    if len(files) == 1:
        return files[0]
    target = folder / f"{name}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for number, path in enumerate(sorted(files)):
            with open(path, "rb") as source, archive.open(zipfile.ZipInfo(f"{number:05d}", _EPOCH), "w", force_zip64=True) as member:
                shutil.copyfileobj(source, member, 1 << 20)
    return target
