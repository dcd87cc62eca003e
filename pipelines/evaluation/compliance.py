"""The table of verdicts: how often an analysis decides rightly, how sure it may be taken to be, where its evidence is, and what it costs.

Measured with the models that serve and the combiner that is shipped for them (fitted by :mod:`pipelines.evaluation.compliance_fit`). The
contracts were fitted on, too: what they gave without being fitted on is in ``pipelines/compliance/combiners/README.md``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from infra.errors import NotFound
from pipelines.compliance.combiner import Combiner, combiner_for
from pipelines.compliance.contract import VERDICTS
from pipelines.evaluation.compliance_cases import (
    BANS,
    Case,
    Measured,
    Say,
    ban_cases,
    contract_cases,
    pair_cases,
    read_or_load,
    unit_cases,
)
from pipelines.evaluation.compliance_fit import said_by
from pipelines.evaluation.compliance_samples import evaluate_samples
from pipelines.evaluation.table import Row
from serving.entailment.calibration import expected_calibration_error
from serving.entailment.corpora import attributionbench, contractnli, scifact
from serving.entailment.corpora.data import Data
from serving.entailment.corpora.examples import Split
from serving.entailment.evaluation import evaluate, measures
from serving.roles import Roles
from serving.roles.entailment import DECIDING

SETS = ("pairs", "units", "contracts", "bans", "reader", "samples", "size")
SATISFIED, VIOLATED = VERDICTS.index("satisfied"), VERDICTS.index("violated")
ROOMS = ("pipelines/compliance", "serving/entailment")


async def evaluate_compliance(
    data: Path,
    roles: Roles,
    split: Split,
    *,
    sets: Collection[str] = SETS,
    limit: int = 0,
    cache: Path | None = None,
    combiner: Combiner | None = None,
    say: Say = lambda line: None,
) -> list[Row]:
    """The rows of the table for the sets that are there.

    Args:
        data: the development data, or its folder ``rag``.
        split: of the deciding reader's weights.
        limit: most contracts; 0 for all.
        cache: folder for what was read.
        combiner: by default the one that is shipped for the deciding reader.

    Raises:
        NotFound: none of the sets is there.
    """
    rag = data / "rag" if (data / "rag").is_dir() else data
    whole = rag.parent if rag.name == "rag" else rag
    known = Data(rag, split)
    if combiner is None:
        ref = (await roles.require("entailment").entail([(".", ".")], version=DECIDING)).model
        combiner = combiner_for(ref.digest)

    async def read(name: str, cases: list[Case]) -> list[Measured]:
        return await read_or_load(name, lambda: cases, roles, cache, say=say)

    rows: list[Row] = []
    if "pairs" in sets and (cases := pair_cases(whole)):
        rows += pair_rows(await read("pairs", cases), combiner)
    if "units" in sets and (cases := unit_cases(whole)):
        rows += unit_rows(await read("units", cases), combiner)
    if "contracts" in sets and (rag / contractnli.SOURCE).is_dir():
        rows += contract_rows(await read("contracts", contract_cases(rag, known, limit=limit)), combiner)
    if "bans" in sets:
        rows += ban_rows(await read("bans", ban_cases()), combiner)
    if "reader" in sets:
        rows += await asyncio.to_thread(_reader_rows, known, roles)
    if "samples" in sets:
        rows += await evaluate_samples(roles, say=say)
    if "size" in sets:
        rows += size_rows()
    if not rows:
        raise NotFound(f"None of the sets lies in {data}. Name a folder laid out as ../shared/data with --data.")
    return rows


def pair_rows(found: Sequence[Measured], combiner: Combiner) -> list[Row]:
    """Requirements beside single passages, of nine kinds."""
    truth, said = _truth(found), said_by(combiner, found)
    guess = said.argmax(1)
    missed = int(((truth == VIOLATED) & (guess == SATISFIED)).sum())
    rows = [
        Row("pairs: accuracy", float((truth == guess).mean()), 0.80, 0.92, len(found)),
        Row("pairs: violated taken for satisfied", float(missed), 3.0, 0.0, int((truth == VIOLATED).sum()), low=True),
        Row("pairs: calibration error", expected_calibration_error(said, truth), 0.08, 0.04, len(found), low=True),
    ]
    kinds = np.array([one.kind for one in found])
    return rows + [
        Row(f"  {kind}", float((truth == guess)[kinds == kind].mean()), of=int((kinds == kind).sum()))
        for kind in sorted(set(kinds.tolist()))
    ]


def unit_rows(found: Sequence[Measured], combiner: Combiner) -> list[Row]:
    """Thresholds in other units and numbers."""
    truth, guess = _truth(found), said_by(combiner, found).argmax(1)
    broken = int(((truth == VIOLATED) & (guess == SATISFIED)).sum())
    return [
        Row("units: right", float((truth == guess).sum()), 22.0, 25.0, len(found)),
        Row("units: broken called satisfied", float(broken), 0.0, 0.0, int((truth == VIOLATED).sum()), low=True),
    ]


def contract_rows(found: Sequence[Measured], combiner: Combiner, said: np.ndarray | None = None) -> list[Row]:
    """ContractNLI: verdicts, evidence and time. ``said``: verdicts of another origin, float ``(rows, 3)``."""
    said = said_by(combiner, found) if said is None else said
    truth, guess, groups = _truth(found), said.argmax(1), [one.kind for one in found]
    precision = [one.precision for one in found if one.precision is not None]
    mean = {label: measures.mean_f1_by_group(truth, guess, groups, label) for label in (SATISFIED, VIOLATED)}
    rows = [
        Row("contracts: accuracy", float((truth == guess).mean()), 0.81, 0.87, len(found)),
        Row("contracts: F1 contradicted, mean over requirements", mean[VIOLATED], 0.26, 0.36),
        Row("contracts: F1 entailed, mean over requirements", mean[SATISFIED], 0.75, 0.83),
        Row("contracts: F1 contradicted, pooled", measures.f1(truth, guess, VIOLATED), 0.55, 0.65, int((truth == VIOLATED).sum())),
        Row("contracts: calibration error", expected_calibration_error(said, truth), 0.08, 0.04, len(found), low=True),
    ]
    if precision:
        rows.append(Row("contracts: evidence mAP", float(np.mean(precision)), 0.82, 0.90, len(precision)))
    seconds = {one.name: one.seconds for one in found if one.seconds}
    if seconds:
        rows.append(
            Row("seconds a contract, all requirements, median", float(np.median(list(seconds.values()))), 15, 6, len(seconds), low=True)
        )
    return rows


def ban_rows(found: Sequence[Measured], combiner: Combiner) -> list[Row]:
    """Sixty bans, each beside what breaks, keeps and does not concern it."""
    truth, guess = _truth(found), said_by(combiner, found).argmax(1)
    broken, kept = truth == VIOLATED, truth == SATISFIED
    rows = [
        Row("bans: breaches noticed", float((guess[broken] == VIOLATED).mean()), 0.85, 0.95, int(broken.sum())),
        Row("bans: called violated though kept", float((guess[kept] == VIOLATED).mean()), 0.12, 0.05, int(kept.sum()), low=True),
    ]
    kinds = np.array([one.kind for one in found])
    for kind, (label, words) in BANS.items():
        here = kinds == kind
        if here.any():
            rows.append(
                Row(f"  {words}: called violated", float((guess[here] == VIOLATED).mean()), of=int(here.sum()), low=label != "contradicted")
            )
    return rows


def size_rows(root: Path | None = None, *, memory: bool = True) -> list[Row]:
    """Memory of the models in a process of their own, and lines of code."""
    from serving.downloads import fetch

    root = root or Path(fetch.__code__.co_filename).parents[2]
    lines = sum(len(path.read_text().splitlines()) for room in ROOMS for path in sorted((root / room).glob("*.py")))
    rows = [Row(f"lines of {' and '.join(ROOMS)}", float(lines), 4002, low=True)]
    if not memory:
        return rows
    said = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, timeout=300, check=False)
    if said.returncode == 0 and said.stdout.strip():
        rows.insert(0, Row("memory of the role at rest, MB", float(said.stdout.split()[-1]), 700, 500, low=True))
    return rows


_MEMORY = """
import asyncio
from pathlib import Path
from infra.settings import load_settings
from serving.local import local_role
from serving.roles.entailment import DECIDING

async def main():
    role = local_role(load_settings(), "entailment")
    await role.batched([("a claim", "a passage")])
    await role.batched([("a claim", "a passage")], version=DECIDING)
    await asyncio.sleep(1)
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmRSS:")[1].split()[0]) // 1024)

asyncio.run(main())
"""


def _reader_rows(known: Data, roles: Roles) -> list[Row]:
    """What the deciding reader makes of claims and citations that it was not trained on."""

    def read(pairs: list[tuple[str, str]]) -> np.ndarray:
        return asyncio.run(roles.require("entailment").entail(pairs, version=DECIDING)).probabilities

    wanted = {"AttributionBench macro-F1, in domain": (0.76, 0.80), "SciFact rationale hit@1": (0.70, 0.75)}
    rows = evaluate.evaluate(known, read, sets=(attributionbench.SOURCE, scifact.SOURCE))
    return [Row(row.measure, row.value, *wanted[row.measure], row.of) for row in rows if row.measure in wanted]


def _truth(found: Sequence[Measured]) -> np.ndarray:
    return np.array([one.truth for one in found])
