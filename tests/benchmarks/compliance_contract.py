"""One contract against ContractNLI's seventeen requirements, warm; must be <= 15 s, aim 5 (two cores).

    python -m tests.benchmarks.compliance_contract [--data DIR] [--contracts 5]

The whole analysis in this process with the embedded models: reading the file, candidates, entailment, verdicts, score, report.
Without the development data a contract of about ninety spans is made up, and checked against as many made-up requirements.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from infra.errors import NotFound
from infra.settings import load_settings
from knowledge.reading import read_document
from knowledge.requirements import Policy, Requirement
from knowledge.requirements.spans import spans_of
from pipelines.compliance import comply
from pipelines.evaluation.compliance_cases import contract_cases
from pipelines.ingestion import open_knowledge
from serving.entailment.corpora.data import Data
from serving.local import local_roles
from tests.benchmarks._rulebook import make_requirements

MUST, AIM = 15.0, 5.0
SPANS, REQUIREMENTS = 90, 17


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compliance_contract", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("WORKBENCH_DATA", "../shared/data")) / "rag")
    parser.add_argument("--contracts", type=int, default=5, help="how many, those with the median number of characters first")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        paths, policy, source = contracts(chosen.data, Path(folder), chosen.contracts)
        settings = load_settings(home=Path(folder) / "home")
        roles = local_roles(settings)
        with open_knowledge(settings, roles=roles) as knowledge:
            warm = Path(folder) / "warm.txt"
            warm.write_text("The models are loaded by their first call.\n")
            comply(warm, requirements=policy, knowledge=knowledge)
            print(f"{source}; {len(policy.requirements)} requirements, {os.cpu_count()} processors")
            seconds = []
            for path in paths:
                began, computed = time.perf_counter(), time.process_time()
                report = comply(path, requirements=policy, knowledge=knowledge)
                seconds.append(time.perf_counter() - began)
                computed = time.process_time() - computed
                spans = len(spans_of(read_document(path)))
                stages = ", ".join(f"{name} {value:.2f}" for name, value in report.seconds.items() if name != "total")
                print(f"    {spans:4} spans  {seconds[-1]:6.2f} s, {computed:6.2f} s of processors  ({stages})  {path.name[:60]}")
    print(f"median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s  (must be <= {MUST:g}, aim {AIM:g})")


def contracts(data: Path, folder: Path, count: int) -> tuple[list[Path], Policy, str]:
    """Files of contracts, the requirements, and where both are from."""
    try:
        cases = contract_cases(data, Data(data), ("train", "tune", "held"))
    except NotFound:
        asked = make_requirements(SPANS)
        path = folder / "made.txt"
        path.write_text("\n\n".join(one.text.replace("must", "shall") for one in asked) + "\n")
        return [path], Policy("made", requirements=tuple(asked[:REQUIREMENTS])), f"a made contract ({data} is not there)"
    texts = {one.kind: one.requirement for one in cases}
    found = {one.name: one.text for one in cases}
    middle = statistics.median(map(len, found.values()))
    paths = []
    for number, name in enumerate(sorted(found, key=lambda name: abs(len(found[name]) - middle))[:count]):
        paths.append(folder / f"{number}-{Path(name).stem}.txt")
        paths[-1].write_text(found[name])
    policy = Policy("ContractNLI", requirements=tuple(Requirement(key, text) for key, text in texts.items()))
    return paths, policy, f"{len(paths)} development contracts"


if __name__ == "__main__":
    main()
