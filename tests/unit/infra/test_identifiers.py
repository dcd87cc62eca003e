"""An id wins over a name, and nothing can be named like an id."""

from __future__ import annotations

import pytest

from infra.database.identifiers import find_by_id_or_name, looks_like_id, refuse_id_as_name
from infra.database.tables import new_id
from infra.errors import InvalidInput, NotFound
from workbench.cli.kb_client import the_one

ID = "0123456789abcdef01234567"
LOOKALIKES = [ID, ID.upper(), f" {ID}\n", "".join(chr(ord(c) + 0xFEE0) for c in ID)]


@pytest.mark.parametrize("name", LOOKALIKES)
def test_a_name_that_looks_like_an_id_is_refused(name: str):
    assert looks_like_id(name)
    with pytest.raises(InvalidInput, match="must not look like an id"):
        refuse_id_as_name(name, "a collection")


@pytest.mark.parametrize("name", ["papers", ID[:-1], ID + "0", ID[:-1] + "g", "", f"collection {ID}"])
def test_other_names_are_not(name: str):
    assert not looks_like_id(name)
    refuse_id_as_name(name, "a collection")


def test_every_new_id_looks_like_one():
    assert looks_like_id(new_id())


def test_an_id_wins_and_is_never_taken_for_a_name():
    rows = [("a", ID), (ID, "papers"), ("b", "papers")]
    assert find_by_id_or_name(ID, rows, lambda row: row) == [(ID, "papers")]
    assert find_by_id_or_name("papers", rows, lambda row: row) == [(ID, "papers"), ("b", "papers")]
    assert find_by_id_or_name(ID, rows[:1], lambda row: row) == []
    assert find_by_id_or_name(ID, rows[:1], lambda row: row, any_name=True) == rows[:1]


def test_the_command_line_follows_the_rule():
    documents = [
        {"id": ID, "document": "heart.md", "collection": "mine", "collection_id": "c" * 24},
        {"id": "d" * 24, "document": ID, "collection": "theirs", "collection_id": "e" * 24},
    ]
    assert the_one(ID, documents, [{"id": "f" * 24, "name": ID}])["document"] == "heart.md"
    assert the_one(ID, documents[1:], [])["id"] == "d" * 24
    with pytest.raises(NotFound):
        the_one("heart", documents, [])
