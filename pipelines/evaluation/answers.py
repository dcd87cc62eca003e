"""Answers measured on development sets, by the product's own search, reading and calibration.

Three questions: does a citation point where a person's did (SciFact's rationale sentences), are questions whose document
is there told from the same question whose document was removed (AUROC), and how often each is answered at the threshold.
The parts are those of the entailment model: what it was trained on is neither fitted on nor measured here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import NotFound
from infra.settings import Settings
from knowledge.index import open_index
from knowledge.reading import Document
from knowledge.reading.records import record_document
from knowledge.search import FAST, Passage, SearchConfig, Searcher
from pipelines.evaluation.retrieval import Remembered, Say, build
from pipelines.evaluation.retrieval_sets import load as load_retrieval
from pipelines.questions.answering import AnswerOptions
from pipelines.questions.calibration import Calibration
from pipelines.questions.contract import Found
from pipelines.questions.evidence import QUESTION_FEATURES, SENTENCE_FEATURES, Evidence, question_features, read_evidence
from pipelines.questions.logistic import auroc, fit
from serving.entailment.corpora import scifact
from serving.entailment.corpora.examples import Part, Split
from serving.entailment.weights_file import read_info
from serving.registry.champions import read_catalogue
from serving.registry.embedded import resolve
from serving.roles import Roles

SETS = ("scifact", "pubmedqa", "obliqa")
FITTED = ("scifact", "pubmedqa")
"""Sets whose licence allows that something which ships is fitted on them."""
MUST = {"rationale hit@1": (0.58, 0.70), "rationale recall@3": (0.72, 0.85), "answerable AUROC": (0.75, 0.90)}
CANDIDATES = 24  # passages searched, of which the gold ones are then taken away


@dataclass(frozen=True)
class Case:
    """A question, the documents that answer it, and where in them a person saw the answer (``document -> spans``)."""

    set: str
    id: str
    text: str
    gold: frozenset[str]
    rationales: dict[str, tuple[tuple[int, int], ...]]
    part: Part


@dataclass(frozen=True)
class Read:
    """A case as the models read it: with its documents, without them, and its documents alone."""

    case: Case
    present: Evidence
    absent: Evidence
    alone: dict[str, Evidence]


@dataclass(frozen=True)
class Figure:
    """One measure of one set, on the held-back part."""

    set: str
    measure: str
    value: float
    must: float | None
    aim: float | None
    of: int


def load(name: str, data: Path, split: Split) -> tuple[list[Document], list[Case]]:
    """Documents and cases of a set.

    Raises:
        NotFound: the set is not there.
    """
    if name == "scifact":
        return _scifact(data, split)
    if name == "pubmedqa":
        return _pubmedqa(data, split)
    documents, questions = load_retrieval(name, data)
    return documents, [Case(name, q.id, q.text, frozenset(map(str, q.gold)), {}, split.part(name, q.text)) for q in questions]


async def read_cases(
    documents: Sequence[Document],
    cases: Sequence[Case],
    roles: Roles,
    calibration: Calibration,
    *,
    config: SearchConfig = FAST,
    say: Say = lambda line: None,
) -> list[Read]:
    """Search and read every case."""
    texts = {document.name: document.text for document in documents if any(document.name in case.rationales for case in cases)}
    options = AnswerOptions()
    embedder = Remembered(roles.require("embedding"))
    found: list[Read] = []
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        index = open_index(folder, "answers")
        chunks, _ = await build(documents, embedder, index, say=say)
        searcher = Searcher(index, chunks, embedder)
        answers = await searcher.search_many([case.text for case in cases], CANDIDATES, None, config) if cases else []
        index.close()
    for number, (case, passages) in enumerate(zip(cases, answers, strict=True), 1):
        there = passages[: options.read]
        removed = [passage for passage in passages if passage.document not in case.gold][: options.read]
        either = [Found(passage) for passage in dict.fromkeys([*there, *removed])]
        evidence = await read_evidence(case.text, either, roles, calibration)
        alone = {}
        for name in case.rationales:
            whole = Found(Passage(name, None, None, 0, len(texts[name]), texts[name], 1.0))
            alone[name] = await read_evidence(case.text, [whole], roles, calibration)
        found.append(Read(case, _of(evidence, there), _of(evidence, removed), alone))
        if number % 10 == 0:
            say(f"{number} of {len(cases)} questions read")
    return found


def fitted(reads: Sequence[Read], about: dict[str, Any]) -> Calibration:
    """A calibration from cases of the tuning part; the threshold answers right as often as possible, both ways alike."""
    rows, truth = [], []
    for read in reads:
        if read.case.rationales and len(read.present.features):
            rows.append(read.present.features)
            truth.append(hits_of(read.case, read.present))
    sentence = fit(SENTENCE_FEATURES, np.concatenate(rows), np.concatenate(truth))
    known = [(question_features(e.features), there) for r in reads for e, there in ((r.present, 1), (r.absent, 0)) if len(e.features)]
    features, there = np.concatenate([f for f, _ in known]), np.array([t for _, t in known])
    answerable = fit(QUESTION_FEATURES, features, there)
    said = answerable(features)
    cuts = np.unique(said)
    balanced = [((said[there == 1] >= cut).mean() + (said[there == 0] < cut).mean()) / 2 for cut in cuts]
    return Calibration(sentence, answerable, float(cuts[int(np.argmax(balanced))]), about={**about, "questions": len(reads)})


def hits_of(case: Case, evidence: Evidence) -> np.ndarray:
    """0 or 1 a sentence: whether it is (for the most part) what a person pointed at."""
    return np.array([int(_rationale(case, candidate) is not None) for candidate in evidence.candidates], int)


def figures(reads: Sequence[Read], calibration: Calibration) -> list[Figure]:
    """The measures of one set."""
    name, found = reads[0].case.set, []
    pointed = [(read.case, document, evidence) for read in reads for document, evidence in read.alone.items()]
    if pointed:
        first, among = zip(*(_pointing(case, document, evidence, calibration) for case, document, evidence in pointed), strict=True)
        found += [("rationale hit@1", np.mean(first), len(pointed)), ("rationale recall@3", np.mean(among), len(pointed))]
    present, absent = (np.array([_confidence(getattr(r, which), calibration) for r in reads]) for which in ("present", "absent"))
    scores, truth = np.concatenate([present, absent]), np.concatenate([np.ones(len(present)), np.zeros(len(absent))])
    found += [
        ("answerable AUROC", auroc(scores, truth), len(scores)),
        ("answered where it is there", (present >= calibration.threshold).mean(), len(present)),
        ("abstained where it was removed", (absent < calibration.threshold).mean(), len(absent)),
    ]
    return [Figure(name, what, round(float(value), 4), *MUST.get(what, (None, None)), of) for what, value, of in found]


def sample(cases: Sequence[Case], part: Part, count: int) -> list[Case]:
    """``count`` cases of a part (all where it has no more), the same on every machine."""
    order = sorted((case for case in cases if case.part == part), key=lambda case: hashlib.sha256(case.id.encode()).hexdigest())
    return order[:count]


async def evaluate_answers(
    data: Path,
    roles: Roles,
    calibration: Calibration | None,
    split: Split,
    *,
    sets: Sequence[str] = SETS,
    questions: int = 150,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Figure], Calibration]:
    """Measure the held-back parts of the sets; without a calibration, fit one on the tuning parts first.

    Args:
        data: a folder laid out as ``../shared/data/rag``.
        split: of the entailment model's training.
        questions: most of a set and part.
    """
    start = calibration or _blank()
    tuned: list[Read] = []
    held: dict[str, list[Read]] = {}
    for name in sets:
        say(f"{name}: reading")
        documents, cases = await asyncio.to_thread(load, name, data, split)
        tune = sample(cases, "tune", questions) if calibration is None and name in FITTED else []
        measured = sample(cases, "held", questions)
        reads = await read_cases(documents, [*tune, *measured], roles, start, say=lambda line, name=name: say(f"{name}: {line}"))
        tuned += reads[: len(tune)]
        held[name] = reads[len(tune) :]
    if calibration is None:
        models = {model.role: model.digest for read in tuned for model in read.present.models}
        calibration = fitted(tuned, {"sets": [name for name in sets if name in FITTED], "models": models})
    return [figure for reads in held.values() if reads for figure in figures(reads, calibration)], calibration


def as_table(measured: Sequence[Figure]) -> str:
    """For a terminal."""
    lines = [f"{'set':<12}{'measure':<34}{'value':>7}{'must':>7}{'aim':>7}{'of':>7}"]
    for one in measured:
        must, aim = (f"{value:.2f}" if value is not None else "" for value in (one.must, one.aim))
        mark = "" if one.must is None else "  met" if one.value >= one.must else "  MISSED"
        lines.append(f"{one.set:<12}{one.measure:<34}{one.value:>7.3f}{must:>7}{aim:>7}{one.of:>7}{mark}")
    return "\n".join(lines)


def as_metrics(measured: Sequence[Figure]) -> dict[str, float]:
    return {f"{one.set}/{one.measure.replace('@', '_at_').replace(' ', '_')}": one.value for one in measured}


def as_json(measured: Sequence[Figure]) -> list[dict[str, Any]]:
    return [asdict(one) for one in measured]


def split_of(settings: Settings) -> Split:
    """Which parts the entailment model's weights were not trained on, as their sidecar says; the shipped ones' where it
    says nothing."""
    version = read_catalogue(settings).champion("entailment")
    info = read_info(resolve(version.source, role="entailment")) if version is not None else None
    said = info.extra.get("split", {}) if info is not None else {}
    return Split(int(said.get("fold", 0)), int(said.get("folds", 5)))


def with_figures(calibration: Calibration, measured: Sequence[Figure]) -> Calibration:
    """The calibration, knowing what it gave."""
    return replace(calibration, about={**calibration.about, "held": as_metrics(measured)})


def _blank() -> Calibration:
    from pipelines.questions.logistic import Logistic

    nothing = (0.0,) * 4
    return Calibration(Logistic(SENTENCE_FEATURES, nothing, 0.0), Logistic(QUESTION_FEATURES, nothing, 0.0), 0.5)


def _of(evidence: Evidence, passages: Sequence[Passage]) -> Evidence:
    """What of it stands in these passages."""
    rows = [row for row, candidate in enumerate(evidence.candidates) if candidate.found.passage in passages]
    kept = tuple(evidence.candidates[row] for row in rows)
    return replace(evidence, candidates=kept, features=evidence.features[rows], scores=evidence.scores[rows])


def _confidence(evidence: Evidence, calibration: Calibration) -> float:
    return float(calibration.answerable(question_features(evidence.features))[0]) if len(evidence.features) else 0.0


def _pointing(case: Case, document: str, evidence: Evidence, calibration: Calibration) -> tuple[float, float]:
    """Whether the best sentence of the gold document is a rationale, and the share of the rationales among the best three."""
    order = np.argsort(-calibration.sentence(evidence.features), kind="stable")
    places = [_rationale(case, evidence.candidates[row]) for row in order]
    return float(places[0] is not None), len({p for p in places[:3] if p is not None}) / len(case.rationales[document])


def _rationale(case: Case, candidate: Any) -> int | None:
    """Which of a document's rationale sentences a sentence is: the two share more than half of the shorter."""
    for number, (start, end) in enumerate(case.rationales.get(candidate.found.passage.document, ())):
        shared = min(end, candidate.end) - max(start, candidate.start)
        if 2 * shared > min(end - start, candidate.end - candidate.start):
            return number
    return None


def _scifact(data: Path, split: Split) -> tuple[list[Document], list[Case]]:
    if not (data / "scifact").is_dir():
        raise NotFound(f"There is no folder {data / 'scifact'}. Name one laid out as ../shared/data/rag with --data.")
    known = scifact.load(data)
    documents = [record_document(name, " ".join(a.sentences), title=a.title) for name, a in known.abstracts.items()]
    cases = []
    for claim in known.claims:
        if not claim.evidence:
            continue  # nobody found an abstract that says anything of it: neither answerable nor not
        spans = {}
        for name, (_, rationales) in claim.evidence.items():
            starts = np.cumsum([0, *(len(sentence) + 1 for sentence in known.abstracts[name].sentences)])
            spans[name] = tuple((int(starts[n]), int(starts[n + 1] - 1)) for n in sorted({n for r in rationales for n in r}))
        gold = frozenset((*claim.cited, *claim.evidence))
        cases.append(Case("scifact", claim.id, claim.text, gold, spans, split.part(scifact.SOURCE, claim.group)))
    return documents, cases


def _pubmedqa(data: Path, split: Split) -> tuple[list[Document], list[Case]]:
    path = data / "pubmedqa" / "dev.json"
    if not path.is_file():
        raise NotFound(f"There is no {path}. Name a folder laid out as ../shared/data/rag with --data.")
    rows = json.loads(path.read_text())
    documents = [record_document(name, " ".join(row["CONTEXTS"])) for name, row in rows.items()]
    cases = [Case("pubmedqa", name, row["QUESTION"], frozenset([name]), {}, _halves(split, name)) for name, row in rows.items()]
    return documents, cases


def _halves(split: Split, name: str) -> Part:
    """The entailment model is not trained on PubMedQA: what would be for training tunes."""
    part = split.part("pubmedqa", name)
    return "held" if part == "held" else "tune"
