"""Measuring answers: what counts as pointing right, and that a fit learns from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.errors import NotFound
from pipelines.evaluation.answers import as_metrics, as_table, evaluate_answers, load, sample
from pipelines.questions.calibration import Calibration
from serving.entailment.corpora.examples import Split
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.unit.pipelines.questions.conftest import SharedStems
from tests.unit.serving.entailment.conftest import small_data

SPLIT = Split(0, 3)
rag = small_data


@pytest.fixture
def data(rag: Path) -> Path:
    folder = rag / "pubmedqa"
    folder.mkdir(exist_ok=True)
    words = ["heart", "kidney", "liver", "brain", "lung", "skin", "bone", "blood", "nerve", "ear"]
    rows = {
        f"{n}": {
            "QUESTION": f"Does drug {n} help the {words[n % 10]} of patients in ward {n}?",
            "CONTEXTS": [f"We gave drug {n} in ward {n}.", f"The {words[n % 10]} of patients improved."],
        }
        for n in range(30)
    }
    (folder / "dev.json").write_text(json.dumps(rows))
    return rag


async def test_a_fit_and_its_figures(data: Path) -> None:
    roles = Roles(embedding=WordsEmbedding(dimensions=384), entailment=SharedStems())
    figures, calibration = await evaluate_answers(data, roles, None, SPLIT, sets=("scifact", "pubmedqa"), questions=12)
    found = as_metrics(figures)
    assert found["pubmedqa/answerable_AUROC"] > 0.9 and found["scifact/rationale_recall_at_3"] > 0.5
    assert 0 < calibration.threshold < 1 and set(calibration.about["models"]) == {"embedding", "entailment"}
    assert "answerable AUROC" in as_table(figures)
    again, same = await evaluate_answers(data, roles, calibration, SPLIT, sets=("pubmedqa",), questions=12)
    assert same is calibration and as_metrics(again)["pubmedqa/answerable_AUROC"] == found["pubmedqa/answerable_AUROC"]
    assert Calibration.from_dict(json.loads(json.dumps(calibration.as_dict()))).threshold == pytest.approx(calibration.threshold, abs=1e-3)


def test_rationales_are_the_sentences_that_a_person_saw(data: Path) -> None:
    documents, cases = load("scifact", data, SPLIT)
    texts = {document.name: document.text for document in documents}
    for case in cases:
        for name, spans in case.rationales.items():
            assert all("increased the weight" in texts[name][start:end] for start, end in spans) and name in case.gold
    parts = {part: {case.id for case in sample(cases, part, 100)} for part in ("train", "tune", "held")}
    assert not parts["held"] & parts["tune"] and sum(map(len, parts.values())) == len(cases)
    with pytest.raises(NotFound):
        load("pubmedqa", data / "none", SPLIT)
