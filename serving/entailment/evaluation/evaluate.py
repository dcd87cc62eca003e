"""The table of the entailment model, on what it was never trained or tuned on.

    python -m serving.entailment.evaluation.evaluate --data ../shared/data [--weights FILE] [--json]

`evaluate()` returns the rows. Pairs are read by the backend that serves. The held-back parts are those that the weights'
sidecar names. Baselines are those of ../shared/data/README.md (measured on other halves), and word overlap, measured here.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from infra.settings import load_settings
from serving.backends.backend import Place
from serving.entailment.calibration import expected_calibration_error
from serving.entailment.corpora import attributionbench, contractnli, described, scifact
from serving.entailment.corpora.contractnli import Contract
from serving.entailment.corpora.data import Data, Rounds
from serving.entailment.corpora.examples import Example, Split, data_folder
from serving.entailment.evaluation import measures
from serving.entailment.evaluation.card import card
from serving.entailment.openvino_backend import OpenVinoEntailment
from serving.entailment.overlap import Overlap
from serving.entailment.weights_file import DEFAULT_WEIGHTS, read_info
from serving.registry.embedded import embedded_version
from serving.registry.versions import sha256_of
from serving.roles.entailment import ENTAILMENT_LABELS, EntailmentBackend

Reader = Callable[[list[tuple[str, str]]], np.ndarray]
"""(claim, passage) pairs to probabilities ``(pairs, 3)``."""
SETS = (attributionbench.SOURCE, scifact.SOURCE, described.SOURCE, contractnli.SOURCE)
ENTAILED, CONTRADICTED, NOT_MENTIONED = range(3)
NUMBER = {label: number for number, label in enumerate(ENTAILMENT_LABELS)}


@dataclass(frozen=True)
class Row:
    """One measure. baseline: what it is compared with, as text; of: how many cases it is over."""

    measure: str
    value: float
    must: float | None = None
    aim: float | None = None
    baseline: str = ""
    of: int = 0

    @property
    def passed(self) -> bool | None:
        """Whether ``must`` is met; None where there is nothing to meet. Errors must be low, all else high."""
        if self.must is None:
            return None
        return self.value <= self.must if "error" in self.measure else self.value >= self.must


def evaluate(data: Data, read: Reader, *, uncalibrated: Reader | None = None, sets: Collection[str] = SETS) -> list[Row]:
    """Every measure that the data and ``sets`` allow; calibration is measured where all sets are."""
    rows: list[Row] = []
    cited = data.cited("held") if attributionbench.SOURCE in sets else []
    claims = data.claims("held") if scifact.SOURCE in sets else []
    contracts = data.contracts("held") if contractnli.SOURCE in sets else []
    if cited:
        rows += attribution(cited, read)
    if claims:
        rows += rationales(data, read)
    if described.SOURCE in sets:
        rows += other_words(described.Pairs(data.rules("held")).plain(), read)
    if contracts:
        rows += verdicts(contracts, data.contractnli.requirements, read)
    if set(sets) != set(SETS):
        return rows
    return rows + calibration(Rounds(data, part="held").plain(random.Random(2)), read, uncalibrated)


def attribution(pairs: list[Example], read: Reader) -> list[Row]:
    """AttributionBench: attributable where "entailed" is the likeliest of the three. All its development sets are in its
    own terms "in domain"; its out-of-domain sets are kept for the examination."""
    truth = np.array([pair.label == "entailed" for pair in pairs]).astype(int)
    guess = (read([(p.claim, p.passage) for p in pairs]).argmax(1) == ENTAILED).astype(int)
    rows = [Row("AttributionBench macro-F1, in domain", measures.macro_f1(truth, guess), 0.70, 0.78, "word overlap + LR .661", len(pairs))]
    names = np.array([pair.source.split("/")[-1] for pair in pairs])
    for name in sorted(set(names)):
        here = names == name
        rows.append(Row(f"  {name}", measures.macro_f1(truth[here], guess[here]), of=int(here.sum())))
    return rows


def rationales(data: Data, read: Reader) -> list[Row]:
    """SciFact: the sentences of the gold abstract, ranked by how much they say of the claim."""
    hits, recalls, words, right, decided = [], [], [], [], 0
    for claim in data.claims("held"):
        for document, (label, told) in claim.evidence.items():
            sentences = data.scifact.abstracts[document].sentences
            found = read([(claim.text, sentence) for sentence in sentences])
            scores, relevant = 1 - found[:, NOT_MENTIONED], {n for rationale in told for n in rationale}
            overlap = Overlap(sentences).scores(claim.text)
            hits.append((measures.hit_at(scores, relevant, 1), measures.hit_at(overlap, relevant, 1)))
            recalls.append((measures.recall_at(scores, relevant, 3), measures.recall_at(overlap, relevant, 3)))
            words.append(len(sentences))
            best = int(np.argmax(scores))
            right.append(found[best, :2].argmax() == NUMBER[label])
            decided += 1
    hit, recall = np.mean(hits, 0), np.mean(recalls, 0)
    return [
        Row("SciFact rationale hit@1", float(hit[0]), 0.58, 0.70, f"word overlap {hit[1]:.3f}", decided),
        Row("SciFact rationale recall@3", float(recall[0]), 0.72, 0.85, f"word overlap {recall[1]:.3f}", decided),
        Row("SciFact supported or refuted, by the best sentence: accuracy", float(np.mean(right)), of=decided),
    ]


def other_words(pairs: list[Example], read: Reader) -> list[Row]:
    """Rules and sentences that share few words with them, written by hand: is what keeps a rule told from what breaks it, and both
    from what only uses its words? A network that goes by the words is at chance, a third and a half."""
    truth = np.array([NUMBER[pair.label] for pair in pairs])
    found = read([(pair.claim, pair.passage) for pair in pairs])
    lean = found[:, CONTRADICTED] - found[:, ENTAILED]
    above = lean[truth == CONTRADICTED][:, None] > lean[truth == ENTAILED][None]
    return [
        Row("Rules in other words: accuracy of three", float((found.argmax(1) == truth).mean()), baseline="chance .333", of=len(pairs)),
        Row("  a breach leans further to contradicted than a keeping", float(above.mean()), baseline="chance .500", of=above.size),
    ]


def verdicts(contracts: list[Contract], requirements: dict[str, str], read: Reader) -> list[Row]:
    """ContractNLI, every span of every held-back contract against every requirement.

    The verdict is that of the span which says most of the requirement: a first reading, which the compliance programme
    replaces by one that weighs several spans.
    """
    truth, guess, groups, precision, overlaps = [], [], [], [], []
    for contract in contracts:
        spans = [n for n, span in enumerate(contract.spans) if span]
        premises = [contract.premise(n) for n in spans]
        index = Overlap(premises)
        for key, finding in contract.findings.items():
            found = read([(requirements[key], premise) for premise in premises])
            scores = 1 - found[:, NOT_MENTIONED]
            best = found[int(np.argmax(scores))]
            truth.append(NUMBER[finding.label])
            guess.append(int(best.argmax()))
            groups.append(key)
            if relevant := {spans.index(n) for n in finding.evidence if n in spans}:
                precision.append(measures.average_precision(scores.tolist(), relevant))
                overlaps.append(measures.average_precision(index.scores(requirements[key]).tolist(), relevant))
    true, said = np.array(truth), np.array(guess)
    beside = "top three spans, TF-IDF + LR"
    contradicted, entailed = (measures.mean_f1_by_group(true, said, groups, label) for label in (CONTRADICTED, ENTAILED))
    ranked = f"per-requirement LR .807, BM25 .437, word overlap here {np.mean(overlaps):.3f}"
    return [
        Row("ContractNLI verdict accuracy", float((true == said).mean()), 0.76, 0.85, f"{beside} .755", len(true)),
        Row("ContractNLI F1 contradicted, mean over requirements", contradicted, 0.20, 0.36, f"{beside} .127"),
        Row("ContractNLI F1 entailed, mean over requirements", entailed, 0.69, 0.83, f"{beside} .678"),
        Row("ContractNLI F1 contradicted, pooled", measures.f1(true, said, CONTRADICTED), 0.50, 0.65),
        Row("ContractNLI evidence mAP", float(np.mean(precision)), 0.80, 0.90, ranked, len(precision)),
    ]


def calibration(pairs: list[Example], read: Reader, uncalibrated: Reader | None) -> list[Row]:
    """Over held-back pairs as they are drawn for training, every data set counting by its pairs; and the speed."""
    texts = [(pair.claim, pair.passage) for pair in pairs]
    truth = np.array([NUMBER[pair.label] for pair in pairs])
    began = time.perf_counter()
    after = expected_calibration_error(read(texts), truth)
    seconds = time.perf_counter() - began
    rows = [Row("Expected calibration error of pairs, calibrated", after, 0.08, 0.04, of=len(pairs))]
    if uncalibrated is not None:
        rows.append(Row("  before calibration", expected_calibration_error(uncalibrated(texts), truth)))
    return [*rows, Row("Pairs a second", len(pairs) / seconds, of=len(pairs))]


def open_weights(path: Path, *, threads: int = 0) -> EntailmentBackend:
    """The backend that serves, over these weights."""
    known = embedded_version(load_settings(), "entailment")
    model = replace(known, source=str(path), ref=replace(known.ref, digest=sha256_of(path), backend="openvino", device="cpu"))
    backend = OpenVinoEntailment(model, Place("cpu", threads, Path(".workbench/cache")))
    backend.load()
    return backend


def without_temperature(read: Reader, temperature: float) -> Reader:
    """What the network says before its logits are divided: a softmax's temperature can be taken back."""

    def plain(pairs: list[tuple[str, str]]) -> np.ndarray:
        powers = np.power(np.maximum(read(pairs), 1e-12), temperature)
        return powers / powers.sum(1, keepdims=True)

    return plain


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| measure | value | must | aim | of | baseline |", "|---|---|---|---|---|---|"]
    for row in rows:
        mark = {True: "", False: " (missed)", None: ""}[row.passed]
        value = f"{row.value:.0f}" if row.value >= 10 else f"{row.value:.3f}"
        limits = " | ".join("" if limit is None else f"{limit:.2f}" for limit in (row.must, row.aim))
        lines.append(f"| {row.measure} | {value}{mark} | {limits} | {row.of or ''} | {row.baseline} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="by default WORKBENCH_DATA, or ../shared/data")
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--set", dest="sets", action="append", choices=SETS, help="by default all; the contracts take longest")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--card", type=Path, help="write the model card with these figures there")
    given = parser.parse_args()
    info = read_info(given.weights)
    if info is None:
        parser.error(f"{given.weights} has no sidecar of serving.entailment.training.train")
    split = info.extra.get("split", {})
    data = Data(data_folder(given.data), Split(int(split.get("fold", 0)), int(split.get("folds", 5))), tuple(split.get("without", ())))
    read = open_weights(given.weights, threads=given.threads).entail
    rows = evaluate(data, read, uncalibrated=without_temperature(read, info.temperature), sets=given.sets or SETS)
    print(json.dumps([asdict(row) for row in rows]) if given.json else table(rows))
    if given.card:
        given.card.write_text(card(info, table(rows)))


if __name__ == "__main__":
    main()
