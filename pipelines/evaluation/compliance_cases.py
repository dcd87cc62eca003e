"""Requirements beside documents with the verdicts that people gave, from several sets; and how an analysis reads them.

What is read is kept in a folder as features (:mod:`pipelines.compliance.features`), by set and by the weights that read it, so that fitting
and trying features costs no reading.
"""

from __future__ import annotations

import asyncio
import csv
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from infra.errors import NotFound
from knowledge.reading import Document
from knowledge.reading.records import record_document
from knowledge.requirements.spans import Span, spans_of
from pipelines.compliance.candidates import embed, index_spans
from pipelines.compliance.contract import MOST_EVIDENCE, VERDICTS
from pipelines.compliance.deciding import evidence_scores
from pipelines.compliance.features import features
from pipelines.compliance.reading import Reader
from pipelines.evaluation.compliance_samples import markdown_document
from serving.entailment.corpora import contractnli
from serving.entailment.corpora.data import Data
from serving.entailment.corpora.examples import Label, Part
from serving.entailment.evaluation import measures
from serving.roles import Roles

Say = Callable[[str], None]
PROHIBITIONS = Path(__file__).with_name("prohibitions.jsonl")
LABELS: dict[Label, int] = {"entailed": 0, "contradicted": 1, "not_mentioned": 2}
BANS: dict[str, tuple[Label, str]] = {
    "breach_allowed": ("contradicted", "allowed"),
    "breach_done": ("contradicted", "broken as a matter of course"),
    "kept": ("entailed", "kept in other words"),
    "kept_close": ("entailed", "kept in the ban's own words"),
    "near": ("not_mentioned", "nothing said of it"),
}
"""The kinds of sentences that stand beside each ban: what they say of it, as a label and for a reader."""
OTHERS = 9
"""Sentences that say nothing of a ban, among which each of its sentences is read."""
MOST_WRITTEN, MOST_AMONG = 2000, 500
AMONG = (3, 7)
"""Other passages of its domain among which a written one is read again."""
AT_ONCE = 16
"""Documents that are read together, so that the models get full batches."""
OVERLAP = 0.5
"""A person's span is found where ours covers at least this share of it."""


@dataclass(frozen=True)
class Case:
    """A requirement beside a document.

    Attributes:
        group: what is not torn apart between fitting and measuring (a contract, a domain).
        kind: for figures by kind.
        truth: index into VERDICTS.
        marked: characters that people marked as evidence; every span that they could mark is in ``markable``.
        plain: the text is a contract's, else Markdown.
    """

    name: str
    group: str
    kind: str
    requirement: str
    text: str
    truth: int
    marked: tuple[int, ...] = ()
    markable: tuple[tuple[int, int], ...] = ()
    plain: bool = False

    def document(self) -> Document:
        return record_document(self.name, self.text) if self.plain else markdown_document(self.name, self.text)


@dataclass(frozen=True)
class Measured:
    """A case as it was read: its features (empty where the document has no span), and the average precision of its evidence."""

    name: str
    group: str
    kind: str
    truth: int
    features: Mapping[str, float] = field(default_factory=dict)
    precision: float | None = None
    seconds: float = 0.0


def written_cases(known: Data, parts: Sequence[Part] = ("tune", "held"), *, among: bool = False) -> list[Case]:
    """The pairs written for training (:mod:`serving.entailment.corpora.written`) of some parts: each passage alone, or some of them
    ``among`` passages of their domain on other requirements."""
    pairs = [pair for part in parts for pair in known.written(part)]
    rng = random.Random(0)  # noqa: S311 - the same documents every time
    chosen = rng.sample(pairs, min(len(pairs), MOST_AMONG if among else MOST_WRITTEN))
    domains: dict[str, dict[str, list[str]]] = {}
    for pair in pairs:
        domains.setdefault(pair.domain, {}).setdefault(pair.requirement, []).append(pair.passage)
    found = []
    for number, pair in enumerate(chosen):
        passages = [pair.passage]
        if among:
            others = [texts for requirement, texts in domains[pair.domain].items() if requirement != pair.requirement]
            passages += [rng.choice(texts) for texts in rng.sample(others, min(len(others), rng.choice(AMONG)))]
            rng.shuffle(passages)
        found.append(Case(f"w{number}", pair.domain, pair.kind, pair.requirement, "\n\n".join(passages), LABELS[pair.label]))
    return found


def contract_cases(data: Path, known: Data, parts: Sequence[Part] = ("held", "tune"), *, limit: int = 0) -> list[Case]:
    """ContractNLI's development contracts of the parts that the reader was not trained on. Raises NotFound."""
    path = data / contractnli.SOURCE / "dev.json"
    if not path.is_file():
        raise NotFound(f"There is no {path}. Name a folder laid out as ../shared/data/rag with --data.")
    said = json.loads(path.read_text())
    chosen = [one for part in parts for one in said["documents"] if known.split.part(contractnli.SOURCE, one["file_name"]) == part]
    return [
        Case(
            document["file_name"],
            document["file_name"],
            key,
            said["labels"][key]["hypothesis"],
            document["text"],
            LABELS[contractnli.LABELS[one["choice"]]],
            tuple(one["spans"]),
            tuple((a, b) for a, b in document["spans"]),
            plain=True,
        )
        for document in chosen[: limit or None]
        for key, one in document["annotation_sets"][0]["annotations"].items()
        if key in said["labels"]
    ]


def pair_cases(data: Path) -> list[Case]:
    """The pairs that measure and that nothing is fitted on (``compliance/pairs_dev.jsonl``); none where the file is not there."""
    path = data / "compliance" / "pairs_dev.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()] if path.is_file() else []
    return [
        Case(one["id"], one["id"][:-1], one["kind"], one["requirement"], one["passage"], VERDICTS.index(one["verdict"])) for one in rows
    ]


def unit_cases(data: Path) -> list[Case]:
    """The 25 thresholds (``cases/comply/units``); none where the files are not there."""
    folder = data / "cases" / "comply"
    if not (folder / "units.md").is_file():
        return []
    truth, text = json.loads((folder / "units_truth.json").read_text()), (folder / "units.md").read_text()
    with (folder / "units.csv").open(newline="") as file:
        return [Case("units", one["id"], "units", one["text"], text, VERDICTS.index(truth[one["id"]])) for one in csv.DictReader(file)]


def ban_cases(file: Path = PROHIBITIONS) -> list[Case]:
    """Each kind of sentence beside each of 60 bans, among sentences that say nothing of it. They were written by somebody who
    knew neither the program nor the starter set; nothing is trained, fitted or chosen on them."""
    known = [json.loads(line) for line in file.read_text().splitlines()]
    rng = random.Random(0)  # noqa: S311 - the same documents every time
    found = []
    for one in known:
        quiet = [other["near"] for other in known if other is not one]
        for kind, (label, _) in BANS.items():
            sentences = rng.sample(quiet, OTHERS)
            sentences.insert(rng.randint(0, OTHERS), one[kind])
            found.append(Case(f"{one['ban']} {kind}", one["ban"], kind, one["ban"], "\n\n".join(sentences), LABELS[label]))
    return found


async def read_cases(cases: Sequence[Case], roles: Roles, *, say: Say = lambda line: None) -> list[Measured]:
    """Every case as an analysis reads it, in the cases' order."""
    documents: dict[tuple[str, bool], list[Case]] = {}
    for case in cases:
        documents.setdefault((case.text, case.plain), []).append(case)
    found: dict[int, Measured] = {}
    slots = asyncio.Semaphore(1 if any(case.plain for case in cases) else AT_ONCE)  # contracts are timed, one by one
    done = 0

    async def read(here: list[Case]) -> None:
        nonlocal done
        async with slots:
            for case, measured in zip(here, await _read_document(here, roles), strict=True):
                found[id(case)] = measured
            done += 1
            if done % 100 == 0 or here[0].plain:
                say(f"{done} of {len(documents)} documents read")

    await asyncio.gather(*(read(here) for here in documents.values()))
    return [found[id(case)] for case in cases]


async def _read_document(cases: Sequence[Case], roles: Roles) -> list[Measured]:
    began = time.perf_counter()
    document = cases[0].document()
    spans = spans_of(document)
    texts = list(dict.fromkeys(case.requirement for case in cases))
    indexed = await index_spans(document.text, spans, roles)
    vectors, _ = await embed(texts, roles)
    readings = dict(zip(texts, await Reader(indexed, roles.require("entailment"), None, None).read(texts, vectors), strict=True))
    found = []
    for case in cases:
        reading = readings[case.requirement]
        precision = None
        if case.marked:
            near = [spans[row] for row in reading.rows]
            scores = evidence_scores(near, reading.probabilities, reading.search)
            precision = evidence_precision(near, scores, case.markable, case.marked)
        said = features(case.requirement, reading) if reading.rows else {}
        found.append(Measured(case.name, case.group, case.kind, case.truth, said, precision, time.perf_counter() - began))
    return found


def evidence_precision(spans: Sequence[Span], scores: np.ndarray, marked: Sequence[tuple[int, int]], relevant: Sequence[int]) -> float:
    """Average precision of people's spans, ranked by the best of our first MOST_EVIDENCE spans that covers each."""
    ranked = np.full(len(marked), -1.0)
    for row in np.argsort(-scores, kind="stable")[:MOST_EVIDENCE]:
        for number, (start, end) in enumerate(marked):
            covered = (min(end, spans[row].end) - max(start, spans[row].start)) / max(1, end - start)
            if covered > OVERLAP:
                tight = covered * (end - start) / max(1, spans[row].end - spans[row].start)
                ranked[number] = max(ranked[number], float(scores[row]) + 1e-3 * min(1.0, tight))
    return measures.average_precision(ranked, set(relevant))


async def read_or_load(
    name: str, make: Callable[[], list[Case]], roles: Roles, cache: Path | None, *, say: Say = lambda line: None
) -> list[Measured]:
    """A set's cases as the models read them, from ``cache`` where they were read before (by whoever named the folder)."""
    file = cache / f"{name}.jsonl" if cache else None
    if file is not None and file.is_file():
        return [Measured(**json.loads(line)) for line in file.read_text().splitlines()]
    say(f"Reading {name}")
    found = await read_cases(make(), roles, say=say)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(asdict(one)) + "\n" for one in found))
    return found
