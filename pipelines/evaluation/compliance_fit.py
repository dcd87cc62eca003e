"""Fit how features become a verdict, for the reader that serves, and measure it by nested cross-validation.

    python -m pipelines.evaluation.compliance_fit --data ../shared/data [--name small|large] [--written all] [--cache FOLDER] [--ablate]

Fitted on the pairs written for training (domains that the reader was not trained on; each passage alone, and some among others) and on
ContractNLI's development contracts that it was not trained on; never on ``pairs_dev``, ``units``, the bans or the starter documents.
Contracts and domains are never torn apart: five outer folds measure, four inner ones choose how far weights are pulled to zero.
Prints the coefficients and the card, and with ``--name`` writes both into the program.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.compliance.combiner import FOLDER, Combiner, write_combiner
from pipelines.compliance.contract import VERDICTS
from pipelines.compliance.features import ADDRESSED, SATISFIED
from pipelines.evaluation.compliance_cases import Measured, contract_cases, read_or_load, written_cases
from pipelines.questions.logistic import Logistic
from serving.entailment.calibration import expected_calibration_error
from serving.entailment.corpora.data import Data
from serving.entailment.evaluation import measures
from serving.roles import Roles
from serving.roles.entailment import DECIDING

OUTER, INNER = 5, 4
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse of the pull to zero, as scikit-learn's C."""
SAID, KEPT, BROKEN = VERDICTS.index("not_addressed"), VERDICTS.index("satisfied"), VERDICTS.index("violated")
GROUPS: dict[str, tuple[str, ...]] = {
    "the deciding reader's passages": tuple(name for name in (*ADDRESSED, *SATISFIED) if "passage" in name),
    "the ranking model's spans": tuple(name for name in (*ADDRESSED, *SATISFIED) if "spans" in name),
    "the best passage's side": ("best passage: side", "best passage: mentioned"),
    "quantities": tuple(name for name in SATISFIED if "quantities" in name),
}
"""Features that are left out together to see what they are good for."""


def fit_combiner(
    rows: Sequence[Measured], strength: float, *, without: Sequence[str] = (), reader: str = "", weights: np.ndarray | None = None
) -> Combiner:
    """Both questions, fitted on rows that have features; weights are of features scaled to unit spread while they are fitted."""
    truth = np.array([one.truth for one in rows])
    share = np.ones(len(rows)) if weights is None else weights
    said = truth != SAID
    addressed, satisfied = (tuple(name for name in names if name not in without) for names in (ADDRESSED, SATISFIED))
    return Combiner(
        _fit(addressed, rows, np.ones(len(rows), bool), said, strength, share),
        _fit(satisfied, rows, said, truth == KEPT, strength, share),
        reader,
    )


def _fit(
    names: tuple[str, ...], rows: Sequence[Measured], use: np.ndarray, truth: np.ndarray, strength: float, share: np.ndarray
) -> Logistic:
    from sklearn.linear_model import LogisticRegression

    x = np.array([[one.features[name] for name in names] for one, used in zip(rows, use, strict=True) if used])
    mean, spread = x.mean(0), np.maximum(x.std(0), 1e-9)
    model = LogisticRegression(C=strength, solver="newton-cholesky").fit((x - mean) / spread, truth[use], sample_weight=share[use])
    weights = model.coef_[0] / spread
    return Logistic(names, tuple(float(weight) for weight in weights), float(model.intercept_[0] - weights @ mean))


def said_by(combiner: Combiner, rows: Sequence[Measured]) -> np.ndarray:
    """float64 ``(rows, 3)`` in the order of VERDICTS; a document without spans does not address the requirement."""
    found = [
        combiner(one.features).as_dict() if one.features else {"satisfied": 0.0, "violated": 0.0, "not_addressed": 1.0} for one in rows
    ]
    return np.array([[one[verdict] for verdict in VERDICTS] for one in found], float).reshape(-1, len(VERDICTS))


def balanced(sets: Mapping[str, Sequence[Measured]]) -> tuple[list[Measured], np.ndarray]:
    """All rows with features, and their weights: the sets count alike, whatever their size."""
    rows = [(one, len(found)) for found in sets.values() for one in found if one.features]
    count = sum(len(found) for found in sets.values())
    return [one for one, _ in rows], np.array([count / len(sets) / size for _, size in rows])


def crossed(sets: Mapping[str, Sequence[Measured]], *, without: Sequence[str] = (), seed: int = 0) -> tuple[np.ndarray, list[float]]:
    """float64 ``(rows, 3)``: every group's verdicts by what was fitted without it, and the strengths that the inner folds chose."""
    rows, share = balanced(sets)
    found, chosen = np.zeros((len(rows), len(VERDICTS))), []
    for held in folds([one.group for one in rows], OUTER, seed):
        inside = ~held
        kept = [one for one, used in zip(rows, inside, strict=True) if used]
        strength = choose(kept, share[inside], without=without, seed=seed)
        chosen.append(strength)
        known = fit_combiner(kept, strength, without=without, weights=share[inside])
        found[held] = said_by(known, [one for one, out in zip(rows, held, strict=True) if out])
    return found, chosen


def choose(rows: Sequence[Measured], share: np.ndarray, *, without: Sequence[str] = (), seed: int = 0) -> float:
    """The strength with the least log-loss over inner folds."""
    truth = np.array([one.truth for one in rows])
    losses = []
    parts = folds([one.group for one in rows], INNER, seed + 1)
    for strength in STRENGTHS:
        loss = 0.0
        for held in parts:
            kept = [one for one, out in zip(rows, held, strict=True) if not out]
            known = fit_combiner(kept, strength, without=without, weights=share[~held])
            said = said_by(known, [one for one, out in zip(rows, held, strict=True) if out])
            loss += log_loss(said, truth[held], share[held]) * share[held].sum()
        losses.append(loss)
    return STRENGTHS[int(np.argmin(losses))]


def folds(groups: Sequence[str], count: int, seed: int) -> list[np.ndarray]:
    """bool ``(rows,)`` for each fold: its rows. Groups are not torn apart."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    place = {names[row]: at % count for at, row in enumerate(order)}
    where = np.array([place[group] for group in groups])
    return [where == number for number in range(count) if (where == number).any() and (where != number).any()]


def log_loss(said: np.ndarray, truth: np.ndarray, share: np.ndarray | None = None) -> float:
    return float(np.average(-np.log(np.maximum(said[np.arange(len(truth)), truth], 1e-9)), weights=share))


def figures(rows: Sequence[Measured], said: np.ndarray) -> dict[str, float]:
    """What a set's verdicts are worth."""
    truth, guess = np.array([one.truth for one in rows]), said.argmax(1)
    return {
        "cases": float(len(rows)),
        "accuracy": float((truth == guess).mean()),
        "violated taken for satisfied": float(((truth == BROKEN) & (guess == KEPT)).sum()),
        "violated": float((truth == BROKEN).sum()),
        "F1 violated": measures.f1(truth, guess, BROKEN),
        "F1 satisfied": measures.f1(truth, guess, KEPT),
        "calibration error": expected_calibration_error(said, truth),
        "log-loss": log_loss(said, truth),
    }


async def read_sets(data: Path, known: Data, roles: Roles, cache: Path | None, *, every: bool, say: Any) -> dict[str, list[Measured]]:
    """The sets that are fitted on."""
    parts = ("train", "tune", "held") if every else ("tune", "held")
    makers = {
        "written": lambda: written_cases(known, parts),
        "written among others": lambda: written_cases(known, parts, among=True),
        "contracts": lambda: contract_cases(data, known),
    }
    return {name: await read_or_load(name, make, roles, cache, say=say) for name, make in makers.items()}


def fit_all(sets: Mapping[str, Sequence[Measured]], reader: str, *, ablate: bool = False) -> Combiner:
    """The combiner over all sets; what it gave in the nested cross-validation is in ``about``."""
    rows, share = balanced(sets)
    said, chosen = crossed(sets)
    strength = choose(rows, share)
    about: dict[str, Any] = {
        "fitted_on": {name: len(found) for name, found in sets.items()},
        "groups": len({one.group for one in rows}),
        "strength": strength,
        "strengths of the outer folds": chosen,
        "crossed": {},
    }
    begin = 0
    for name, found in sets.items():
        with_features = [one for one in found if one.features]
        about["crossed"][name] = {
            key: round(value, 4) for key, value in figures(with_features, said[begin : begin + len(with_features)]).items()
        }
        begin += len(with_features)
    if ablate:
        truth = np.array([one.truth for one in rows])
        base = log_loss(said, truth, share)
        about["log-loss without (all features: " + f"{base:.4f})"] = {
            name: round(log_loss(crossed(sets, without=names)[0], truth, share), 4) for name, names in GROUPS.items()
        }
    known = fit_combiner(rows, strength, reader=reader, weights=share)
    return Combiner(known.addressed, known.satisfied, reader, about)


def card(name: str, combiner: Combiner) -> str:
    """A combiner in Markdown: coefficients, what it was fitted on, and what the cross-validation gave."""
    about = combiner.about
    lines = [f"## {name}", "", f"Deciding reader: sha256 `{combiner.reader}`.", ""]
    lines += [f"Fitted on {', '.join(f'{count} {kind}' for kind, count in about['fitted_on'].items())} (C = {about['strength']:g}).", ""]
    lines += ["| feature | addressed | satisfied |", "|---|---|---|"]
    asked = [question.as_dict() for question in (combiner.addressed, combiner.satisfied)]
    for feature in dict.fromkeys(("bias", *ADDRESSED, *SATISFIED)):
        lines.append(f"| {feature} | " + " | ".join(f"{one[feature]:.3f}" if feature in one else "" for one in asked) + " |")
    crossed_figures = about["crossed"]
    columns = list(next(iter(crossed_figures.values())))
    lines += ["", "Nested cross-validation, contracts and domains kept together:", ""]
    lines += [f"| set | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {kind} | " + " | ".join(f"{row[column]:.4g}" for column in columns) + " |" for kind, row in crossed_figures.items()]
    for title, row in about.items():
        if title.startswith("log-loss without"):
            lines += ["", f"{title[0].upper()}{title[1:]}:", "", *(f"- {what}: {value}" for what, value in row.items())]
    return "\n".join(lines) + "\n"


def write_cards() -> None:
    """``combiners/README.md``, of every combiner that is shipped."""
    from pipelines.compliance.combiner import shipped

    head = (
        "# How evidence becomes a verdict\n\nTwo logistic regressions for each reader: whether the document says anything of a "
        "requirement, and whether what it says satisfies it. Written by `python -m pipelines.evaluation.compliance_fit`, never by hand.\n\n"
    )
    (FOLDER / "README.md").write_text(head + "\n".join(card(name, one) for name, one in shipped().items()))


def main() -> None:
    """Command line."""
    from infra.settings import load_settings
    from pipelines.evaluation.answers import split_of
    from serving.entailment.corpora.examples import data_folder
    from serving.local import local_roles

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the development data's folder; by default WORKBENCH_DATA, or ../shared/data")
    parser.add_argument("--name", help="write the combiner into the program under this name")
    parser.add_argument("--written", choices=("held", "all"), default="held", help="all: the reader was trained on none of the pairs")
    parser.add_argument("--cache", type=Path, help="folder for what was read; one for each reader")
    parser.add_argument("--ablate", action="store_true", help="also without each group of features")
    given = parser.parse_args()
    settings = load_settings()
    roles = local_roles(settings)
    folder = data_folder(given.data)
    known = Data(folder, split_of(settings))

    async def work() -> Combiner:
        sets = await read_sets(folder, known, roles, given.cache, every=given.written == "all", say=print)
        ref = (await roles.require("entailment").entail([(".", ".")], version=DECIDING)).model
        return fit_all(sets, ref.digest, ablate=given.ablate)

    combiner = asyncio.run(work())
    print(card(given.name or "not written", combiner))
    if given.name:
        write_combiner(given.name, combiner)
        write_cards()


if __name__ == "__main__":
    main()
