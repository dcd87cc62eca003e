"""The primer's articles: complete, short, labelled as a primer, and of the structures that the segmentation labels."""

from __future__ import annotations

import re

from pipelines.imaging.labels import LABELS
from pipelines.imaging.primer_articles import DESCRIPTION, article_digests, article_paths


def test_every_article_is_short_and_labelled_as_a_primer() -> None:
    articles = {name: path.read_text() for name, path in article_paths().items()}
    assert len(articles) >= 60 and articles.keys() == article_digests().keys()
    titles = [text.splitlines()[0] for text in articles.values()]
    assert len(set(titles)) == len(titles)
    for name, text in articles.items():
        assert text.startswith("# Primer: "), name
        assert 150 <= len(text.split()) <= 350, name
        assert len(re.findall(r"(?m)^## ", text)) >= 2, name
        assert "clinical guidance" not in text, name  # said once, of the whole collection
    assert "not clinical guidance" in DESCRIPTION and "not literature" in DESCRIPTION


def test_every_labelled_structure_has_its_passage() -> None:
    text = " ".join(path.read_text() for path in article_paths().values()).lower()
    names = {"cerebellum white matter": "cerebellar cortex, white matter", "cerebellum cortex": "cerebellar cortex",
             "inferior lateral ventricle": "temporal horn"}  # fmt: skip
    for label in LABELS.values():
        assert names.get(label.name, label.name.lower()) in text, label.name
