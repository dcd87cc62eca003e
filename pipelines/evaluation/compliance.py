"""Verdicts and evidence measured on ContractNLI's development contracts, by the product's own spans, candidates and reading.

Only contracts that the entailment model was not trained on are measured. With the weights that serve these are its held-back
and tuning parts (the tuning part gave the temperature and nothing else). For a cross-validation over all 61 contracts, train
three folds and name their weights:

    python -m serving.entailment.training.train --fold 0 --folds 3 --mix rules --max-steps 1300 --hours 9 \\
        --folder F/a --export F/a.safetensors
    python -m serving.entailment.training.train --fold 0 --folds 3 --mix compliance --max-steps 2300 --hours 9 \\
        --warm-start F/a.safetensors --folder F/b --export F/b.safetensors
    python -m serving.entailment.training.train --fold 0 --folds 3 --mix compliance --max-steps 750 --hours 9 \\
        --warm-start F/b.safetensors --blend .5 --folder F/c --export F/c.safetensors
    python -m serving.entailment.training.train --fold 0 --folds 3 --mix compliance --max-steps 2300 --hours 9 \\
        --warm-start F/c.safetensors --blend .5 --folder F/d --export F/d.safetensors    # and folds 1, 2: two hours each on one core
    python -m pipelines.evaluation.compliance --data ../shared/data/rag --weights F/d.safetensors --weights ...

and likewise with weights trained ``--without`` requirements, which are then measured on these alone. How spans become a verdict
(:mod:`pipelines.compliance.deciding`) is fitted on two thirds of the contracts and measured on the last, three times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import NotFound
from knowledge.reading.records import record_document
from knowledge.requirements.spans import Span, spans_of
from pipelines.compliance.calibration import Calibration, write_calibration
from pipelines.compliance.candidates import embed, index_spans
from pipelines.compliance.contract import MOST_EVIDENCE, VERDICTS
from pipelines.compliance.deciding import (
    ADDRESSED_FEATURES,
    SATISFIED_FEATURES,
    by_search,
    evidence_scores,
    features,
    probabilities_of,
    told_apart,
)
from pipelines.compliance.reading import Reader
from pipelines.evaluation.compliance_claims import LABELS, ClaimRead, read_cases, read_claims
from pipelines.evaluation.compliance_rules import KINDS, called_violated, prohibitions, read_rules
from pipelines.evaluation.table import Row, as_table
from pipelines.questions.logistic import fit
from serving.entailment.calibration import expected_calibration_error
from serving.entailment.corpora import contractnli
from serving.entailment.corpora.data import Data
from serving.entailment.corpora.examples import Split
from serving.entailment.evaluation import measures
from serving.roles import Roles
from serving.roles.entailment import Entailment

Say = Callable[[str], None]
FOLDS = 3
CLAIMS_SHARE = 2
"""Every so many-th claim of SciFact is fitted on; the others measure how far the calibration carries to other texts."""
OVERLAP = 0.5
"""A person's span is found where ours covers at least this share of it."""
SATISFIED, VIOLATED = VERDICTS.index("satisfied"), VERDICTS.index("violated")


@dataclass(frozen=True)
class Contract:
    """A contract as people marked it: text, spans as offsets, and by requirement the label with the marked spans."""

    name: str
    text: str
    marked: tuple[tuple[int, int], ...]
    findings: dict[str, tuple[int, tuple[int, ...]]]


@dataclass(frozen=True)
class Read:
    """One requirement of one contract as the models read it.

    Attributes:
        told: float ``(spans, 3)``, after the rules of :mod:`pipelines.compliance.differences` and weighed by the search.
        changes: what each span changes of the requirement by those rules; '' for nothing.
        truth: 0 satisfied, 1 violated, 2 not addressed.
        precision: average precision of the evidence; None where nobody marked any.
    """

    contract: str
    requirement: str
    told: np.ndarray
    changes: tuple[str, ...]
    truth: int
    precision: float | None


def load_contracts(data: Path) -> tuple[list[Contract], dict[str, str]]:
    """The development contracts and the requirements' texts, by id. Raises NotFound."""
    path = data / contractnli.SOURCE / "dev.json"
    if not path.is_file():
        raise NotFound(f"There is no {path}. Name a folder laid out as ../shared/data/rag with --data.")
    said = json.loads(path.read_text())
    contracts = []
    for document in said["documents"]:
        found = document["annotation_sets"][0]["annotations"]
        findings = {key: (LABELS[contractnli.LABELS[one["choice"]]], tuple(one["spans"])) for key, one in found.items()}
        contracts.append(Contract(document["file_name"], document["text"], tuple((a, b) for a, b in document["spans"]), findings))
    return contracts, {key: one["hypothesis"] for key, one in said["labels"].items()}


async def read_contract(contract: Contract, requirements: dict[str, str], roles: Roles) -> list[Read]:
    """Every requirement against the contract, as an analysis reads it."""
    spans = spans_of(record_document(contract.name, contract.text))
    indexed = await index_spans(spans, roles)
    vectors, _ = await embed(list(requirements.values()), roles)
    readings = await Reader(indexed, roles.require("entailment"), None, None).read(list(requirements.values()), vectors)
    found = []
    for (key, text), reading in zip(requirements.items(), readings, strict=True):
        if key not in contract.findings:
            continue
        truth, marked = contract.findings[key]
        read = [spans[row] for row in reading.rows]
        told, changes = told_apart(text, read, reading.probabilities)
        precision = evidence_precision(read, evidence_scores(read, told, reading.search), contract.marked, marked) if marked else None
        found.append(Read(contract.name, key, by_search(told, changes, reading.search), tuple(changes), truth, precision))
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


def calibrate(reads: Sequence[Read | ClaimRead]) -> Calibration:
    """The two questions of :mod:`pipelines.compliance.deciding`, fitted."""
    found = [features(read.told) for read in reads]
    truth = np.array([read.truth for read in reads])
    addressed, satisfied = np.array([one[0] for one in found]), np.array([one[1] for one in found])
    said = truth != VERDICTS.index("not_addressed")
    return Calibration(fit(ADDRESSED_FEATURES, addressed, said), fit(SATISFIED_FEATURES, satisfied[said], truth[said] == SATISFIED))


def probabilities(calibration: Calibration, reads: Sequence[Read | ClaimRead]) -> np.ndarray:
    """float64 ``(reads, 3)``, in the order of VERDICTS: as an analysis decides."""
    said = [probabilities_of(calibration, read.told, read.changes) for read in reads]
    return np.array([[getattr(one, verdict) for verdict in VERDICTS] for one in said], float).reshape(-1, len(VERDICTS))


def crossed(reads: Sequence[Read], group: Callable[[Read], str], *, also: Sequence[ClaimRead] = (), seed: int = 0) -> np.ndarray:
    """float64 ``(reads, 3)``: each group's verdicts by what was fitted without it, and with ``also``."""
    names = sorted({group(read) for read in reads})
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[row]: place % FOLDS for place, row in enumerate(order)}
    found = np.zeros((len(reads), len(VERDICTS)))
    for number in range(FOLDS):
        held = [row for row, read in enumerate(reads) if fold[group(read)] == number]
        if not held:
            continue
        known = calibrate([*(read for read in reads if fold[group(read)] != number), *also])
        found[held] = probabilities(known, [reads[row] for row in held])
    return found


def verdict_rows(reads: Sequence[Read], said: np.ndarray, note: str = "") -> list[Row]:
    """The issue's table of verdicts."""
    truth, guess = np.array([read.truth for read in reads]), said.argmax(1)
    groups = [read.requirement for read in reads]
    precision = [read.precision for read in reads if read.precision is not None]
    mean = {label: measures.mean_f1_by_group(truth, guess, groups, label) for label in (SATISFIED, VIOLATED)}
    return [
        Row(f"verdict accuracy{note}", float((truth == guess).mean()), 0.76, 0.85, len(reads)),
        Row(f"F1 contradicted, mean over requirements{note}", mean[VIOLATED], 0.20, 0.36),
        Row(f"F1 entailed, mean over requirements{note}", mean[SATISFIED], 0.69, 0.83),
        Row(f"F1 contradicted, pooled{note}", measures.f1(truth, guess, VIOLATED), 0.50, 0.65, int((truth == VIOLATED).sum())),
        Row(f"evidence mAP{note}", float(np.mean(precision)), 0.80, 0.90, len(precision)),
        Row(f"calibration error of the verdict{note}", expected_calibration_error(said, truth), 0.08, 0.04, len(reads), low=True),
    ]


def left_out_rows(reads: Sequence[Read], left_out: Sequence[str], *, also: Sequence[ClaimRead] = (), note: str = "") -> list[Row]:
    """Requirements that were trained on neither by the network nor by the combiner, against the most frequent verdict of the
    others. Where the weights know all requirements (``left_out`` empty), only the combiner is fitted without each third of them."""
    if left_out:
        known = calibrate([*(read for read in reads if read.requirement not in left_out), *also])
        measured = [read for read in reads if read.requirement in left_out]
        said = probabilities(known, measured)
    elif len({read.requirement for read in reads}) < FOLDS:
        return []
    else:
        measured, said = list(reads), crossed(reads, lambda read: read.requirement, also=also)
        note += " (combiner only: the weights were trained on all 17)"
    others = [read.truth for read in reads if read.requirement not in left_out]
    frequent = int(np.bincount(others, minlength=len(VERDICTS)).argmax())
    truth = np.array([read.truth for read in measured])
    base = float((truth == frequent).mean())
    accuracy = float((truth == said.argmax(1)).mean())
    return [
        Row(f"requirements left out: accuracy{note}", accuracy, base + 0.05 if left_out else None, of=len(measured)),
        Row(f"  most frequent verdict of the others ({VERDICTS[frequent]})", base),
    ]


def elsewhere_rows(name: str, reads: Sequence[ClaimRead], calibration: Calibration) -> list[Row]:
    """How far the calibration carries to texts of another kind that it was not fitted on."""
    if not reads:
        return []
    truth, guess = np.array([read.truth for read in reads]), probabilities(calibration, reads)
    return [
        Row(f"{name} not fitted on: accuracy", float((truth == guess.argmax(1)).mean()), of=len(reads)),
        Row(f"{name} not fitted on: calibration error", expected_calibration_error(guess, truth), of=len(reads), low=True),
    ]


async def evaluate_compliance(
    data: Path, roles: Roles, split: Split, *, limit: int = 0, say: Say = lambda line: None
) -> tuple[list[Row], Calibration, list[Read]]:
    """The table over the contracts that the weights that serve were not trained on; and the combiner fitted on all of them.

    Args:
        split: of the weights.
        limit: most contracts; 0 for all.

    Raises:
        NotFound: the data are not there.
    """
    contracts, requirements = load_contracts(data)
    parts = {one.name: split.part(contractnli.SOURCE, one.name) for one in contracts}
    chosen = [one for part in ("held", "tune") for one in contracts if parts[one.name] == part]
    reads, seconds = await _read_all(chosen[: limit or None], requirements, roles, say)
    known = Data(data, split)
    claims = await read_claims(known, roles)
    also = claims[::CLAIMS_SHARE]
    said = crossed(reads, lambda read: read.contract, also=also)
    rows = [
        *verdict_rows(reads, said),
        Row("seconds for a contract against 17 requirements, warm (median)", float(np.median(seconds)), 15, 5, len(seconds), low=True),
        *left_out_rows(reads, (), also=also),
    ]
    calibration = calibrate([*reads, *also])
    rows += elsewhere_rows("SciFact claims", [claim for row, claim in enumerate(claims) if row % CLAIMS_SHARE], calibration)
    rows += elsewhere_rows("Rules beside procedures", await read_rules(known, roles, "held"), calibration)
    bans = await read_cases(prohibitions(), roles)
    for kind, (share, of) in called_violated(bans, probabilities(calibration, bans)).items():
        label, words = KINDS[kind]
        rows.append(Row(f"bans: {words}: called violated", share, of=of, low=label != "contradicted"))
    about = {
        "fitted_on": f"{len(seconds)} development contracts of ContractNLI that the entailment weights were not trained on",
        "decisions": len(reads),
        "claims": f"{len(also)} of SciFact's, likewise",
        "crossed": {row.measure: round(row.value, 4) for row in rows if not row.measure.startswith("seconds")},
    }
    return rows, replace(calibration, about=about), reads


async def _read_all(contracts: Sequence[Contract], requirements: dict[str, str], roles: Roles, say: Say) -> tuple[list[Read], list[float]]:
    reads: list[Read] = []
    seconds = []
    for number, contract in enumerate(contracts, 1):
        began = time.perf_counter()
        reads += await read_contract(contract, requirements, roles)
        seconds.append(time.perf_counter() - began)
        say(f"{number} of {len(contracts)}: {contract.name[:60]} {seconds[-1]:.1f} s")
    return reads, seconds


async def evaluate_folds(data: Path, weights: Sequence[Path], roles: Roles, *, say: Say) -> list[Row]:
    """The table over every contract that one of these weights holds back, each read by such weights."""
    from serving.entailment.evaluation.evaluate import open_weights
    from serving.entailment.weights_file import read_info

    contracts, requirements = load_contracts(data)
    reads: list[Read] = []
    left_out: set[str] = set()
    for path in weights:
        info = read_info(path)
        if info is None:
            raise NotFound(f"{path} and its .json are no entailment weights.")
        cut = info.extra.get("split", {})
        split = Split(int(cut["fold"]), int(cut["folds"]))
        left_out |= set(cut.get("without", ()))
        held = [
            one for one in contracts if split.part(contractnli.SOURCE, one.name) == "held" and one.name not in {r.contract for r in reads}
        ]
        say(f"{path.name}: fold {split.fold} of {split.folds}, {len(held)} contracts, {info.extra.get('step')} steps")
        backend = open_weights(path)
        fresh, _ = await _read_all(held, requirements, roles.replace(entailment=_Plain(backend)), say)
        reads += fresh
        backend.close()
    if left_out:
        return left_out_rows(reads, sorted(left_out))
    return verdict_rows(reads, crossed(reads, lambda read: read.contract))


class _Plain:
    """A backend as a role, without versions: for weights that are not registered."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    async def entail(self, pairs: Sequence[tuple[str, str]], *, version: str | None = None) -> Entailment:
        return Entailment(await asyncio.to_thread(self._backend.entail, pairs), self._backend.ref)


def main() -> None:
    """Command line: cross-validation by weights of folds, and fitting what ships."""
    from infra.settings import load_settings
    from pipelines.evaluation.answers import split_of
    from serving.local import local_roles

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, action="append", default=[], help="of folds; by default those that serve")
    parser.add_argument("--fit", action="store_true", help="write the calibration into the program")
    given = parser.parse_args()
    settings = load_settings()
    roles = local_roles(settings)
    if given.weights:
        print(as_table(asyncio.run(evaluate_folds(given.data, given.weights, roles, say=print))))
        return
    rows, calibration, _ = asyncio.run(evaluate_compliance(given.data, roles, split_of(settings), say=print))
    if given.fit:
        write_calibration(calibration)
    print(as_table(rows))


if __name__ == "__main__":
    main()
