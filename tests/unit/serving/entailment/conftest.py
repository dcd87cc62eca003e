"""A tiny cross-encoder of the real architecture, and a little data of each set, made here."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from serving.entailment.network import CrossEncoder, Shape
from serving.entailment.weights_file import write_weights
from serving.registry.versions import ModelRef, ModelVersion, sha256_of

TEMPERATURE = 1.7


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a network with two layers, drawn at random."""
    torch.manual_seed(0)
    network = CrossEncoder(Shape(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96))
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn_like(value))  # biases and norms must count, too
    path = tmp_path_factory.mktemp("tiny") / "entailment.safetensors"
    write_weights(network, path, temperature=TEMPERATURE, max_tokens=128, step=1)
    return path


@pytest.fixture(scope="session")
def tiny_version(tiny: Path) -> ModelVersion:
    return ModelVersion(ModelRef("entailment", "workbench-entailment", "1", sha256_of(tiny), "openvino", "cpu"), str(tiny))


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as ``../shared/data/rag``: 20 questions, 40 claims on 40 abstracts, 12 contracts of which 2 are shortened."""
    folder = tmp_path_factory.mktemp("rag")
    for name in ("attributionbench", "scifact", "contractnli"):
        (folder / name).mkdir()
    rows = [
        {
            "question": f"What is fact {n // 2}?",
            "claim": f"Fact {n // 2} is that wheel {n} turns {n} times.",
            "references": [f"Title: wheels\nWheel {n if n % 2 else n + 1} turns {n} times a day. It is red.", "Nothing here."],
            "attribution_label": "attributable" if n % 2 else "not attributable",
            "src_dataset": "LFQA" if n < 20 else "ExpertQA",
        }
        for n in range(40)
    ]
    with gzip.open(folder / "attributionbench" / "dev.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    sentences = ["We measured protein {n} in mice.", "Protein {n} increased the weight of all mice by 12 grams.",
                 "The mice were kept in cages and fed every day.", "Protein {n} may therefore be of use in medicine."]  # fmt: skip
    with gzip.open(folder / "scifact" / "corpus.jsonl.gz", "wt") as file:
        for n in range(40):
            file.write(json.dumps({"id": str(n), "title": f"Protein {n}", "sentences": [s.format(n=n) for s in sentences]}) + "\n")
    claims = [
        {
            "id": str(n),
            "claim": f"Protein {n // 2} {'in' if n % 2 else 'de'}creases weight.",
            "cited": [str(n // 2)],
            "evidence": [{"doc": str(n // 2), "label": "SUPPORT" if n % 2 else "CONTRADICT", "sentences": [1]}],
        }
        for n in range(40)
    ]
    claims.append({"id": "joins", "claim": "Proteins 3 and 4 are alike.", "cited": ["3", "4"], "evidence": []})
    (folder / "scifact" / "claims.jsonl").write_text("\n".join(map(json.dumps, claims)))
    labels = {"nda-1": {"hypothesis": "Receiving Party shall not copy the information."}, "nda-2": {"hypothesis": "Agreement may end."}}
    for file, numbers in (("dev.json", range(10)), ("train_truncated.json", range(10, 12))):
        documents = [_contract(n) for n in numbers]
        (folder / "contractnli" / file).write_text(json.dumps({"documents": documents, "labels": labels}))
    return folder


def _contract(n: int) -> dict:
    pieces = [f"2. Duties of party {n}", "The receiving party shall not:", "(a) copy the information in any way;",
              "(b) sell what it has learnt to any other person at all;", "This agreement ends after five years from its date."]  # fmt: skip
    text, spans = "", []
    for piece in pieces:
        spans.append([len(text), len(text) + len(piece)])
        text += piece + "\n"
    annotations = {
        "nda-1": {"choice": "Entailment", "spans": [2]},
        "nda-2": {"choice": "Contradiction" if n % 2 else "NotMentioned", "spans": [4] if n % 2 else []},
    }
    return {"file_name": f"contract-{n}.pdf", "text": text, "spans": spans, "annotation_sets": [{"annotations": annotations}]}
