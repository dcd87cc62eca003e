"""What a policy asks for, one sentence at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Modality = Literal["obligation", "prohibition", "permission"]
Severity = Literal["low", "medium", "high", "critical"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Source:
    """Where a requirement stands in its policy.

    Attributes:
        document: the policy's name in its collection; ``title`` is its own title, or None.
        page: from 1; None where the policy has no pages.
        start, end: characters of the policy's text; ``text`` is exactly what stands there.
        collection_id: the collection; empty where the requirement was extracted from a text of no collection.
    """

    document: str
    title: str | None
    page: int | None
    start: int
    end: int
    text: str
    collection_id: str = ""

    def as_dict(self) -> dict[str, Any]:
        """A passage of the contract (its score is 1: the requirement was read there), with the collection."""
        return {
            "document": self.document,
            "title": self.title,
            "page": self.page,
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "score": 1.0,
            "collection_id": self.collection_id,
        }

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Source:
        return cls(
            **{name: said[name] for name in ("document", "title", "page", "start", "end", "text")}, collection_id=said["collection_id"]
        )


@dataclass(frozen=True)
class Requirement:
    """One requirement.

    Attributes:
        id: stable over its versions; of a CSV file, the file's own.
        text: a sentence that can be read alone: the hypothesis that a document's spans are read against.
        modality: an ``obligation`` must be kept; a ``prohibition`` must not be broken, and a document that is silent on it
            has no gap; a ``permission`` cannot be violated and is not scored.
        severity: how bad it is to break it.
        topic: what it is about, one or two words; empty where nobody said.
        subject, action, condition, exception: its parts as the policy words them; empty where there is none.
        source: where it stands in its policy; None where it was written by hand or imported.
        version: from 1; raised by each edit.
    """

    id: str
    text: str
    modality: Modality = "obligation"
    severity: Severity = "medium"
    topic: str = ""
    subject: str = ""
    action: str = ""
    condition: str = ""
    exception: str = ""
    source: Source | None = None
    version: int = 1

    def as_dict(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "source"}
        return {**named, "source": self.source.as_dict() if self.source else None}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Requirement:
        named = {name: said[name] for name in cls.__dataclass_fields__ if name != "source"}
        return cls(**named, source=Source.from_dict(said["source"]) if said["source"] else None)


@dataclass(frozen=True)
class Policy:
    """A set of requirements that an analysis was made against.

    Attributes:
        name: the collection's, or the file's.
        collection_id: empty for a file.
        version: the collection's policy version at that time; 0 for a file.
    """

    name: str
    collection_id: str = ""
    version: int = 0
    requirements: tuple[Requirement, ...] = field(default=(), repr=False)

    def card(self) -> dict[str, Any]:
        """``{"name", "collection", "version", "requirements"}``, the last one a count."""
        return {"name": self.name, "collection": self.collection_id, "version": self.version, "requirements": len(self.requirements)}

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "collection_id": self.collection_id,
            "version": self.version,
            "requirements": [one.as_dict() for one in self.requirements],
        }

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Policy:
        found = tuple(Requirement.from_dict(one) for one in said["requirements"])
        return cls(said["name"], said["collection_id"], said["version"], found)
