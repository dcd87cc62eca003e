"""The knowledge base for pages and routes: every function asks first whether the person may.

Collections go by name or id (a person's own before shared ones of the same name), documents by name or id.
"""

from workbench.services.knowledge.chunks import ChunkCard, edit_chunk, list_chunks, position_at
from workbench.services.knowledge.collections import (
    CollectionCard,
    MemberCard,
    change_collection,
    delete_collection,
    find_collection,
    list_collections,
    list_members,
    new_collection,
    rebuild_collection,
    set_member,
    storage_used,
)
from workbench.services.knowledge.documents import (
    DocumentCard,
    edit_document,
    facts_as_typed,
    find_document,
    list_documents,
    named_documents,
    open_file,
    read_document_text,
    remove_documents,
)
from workbench.services.knowledge.ingestion import Sent, add_files, add_uploads, added_documents, list_adding
from workbench.services.knowledge.searching import FoundPassage, search_collections, search_many
from workbench.services.knowledge.versions import VersionCard, list_versions, open_version, read_version

__all__ = [
    "ChunkCard",
    "CollectionCard",
    "DocumentCard",
    "FoundPassage",
    "MemberCard",
    "Sent",
    "VersionCard",
    "add_files",
    "add_uploads",
    "added_documents",
    "change_collection",
    "delete_collection",
    "edit_chunk",
    "edit_document",
    "facts_as_typed",
    "find_collection",
    "find_document",
    "list_adding",
    "list_chunks",
    "list_collections",
    "list_documents",
    "list_members",
    "list_versions",
    "named_documents",
    "new_collection",
    "open_file",
    "open_version",
    "position_at",
    "read_document_text",
    "read_version",
    "rebuild_collection",
    "remove_documents",
    "search_collections",
    "search_many",
    "set_member",
    "storage_used",
]
