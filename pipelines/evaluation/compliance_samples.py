"""The starter set's two documents: planted breaches found, false alarms, and mechanical breaches of the good one noticed.

Nothing is tuned on them: the documents and policies were frozen before (``pipelines/compliance/starter/frozen.json``).
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.objectstore.local import LocalObjectStore
from knowledge.reading import Document
from knowledge.reading.document import Page, with_paths
from knowledge.reading.kinds import MARKDOWN
from knowledge.reading.plain import markdown_blocks
from knowledge.requirements import Requirement, extract_requirements
from knowledge.requirements.spans import Span, spans_of
from knowledge.requirements.wording import read_wording, without_marks
from pipelines.compliance.analysing import analyse
from pipelines.compliance.contract import RequirementVerdict
from pipelines.compliance.differences import NUMBER_WORDS, keeps_quantity, quantities, shared_words
from pipelines.compliance.reading import Readings
from pipelines.compliance.samples import POLICIES, SAMPLES, PolicyClause, policy_clause
from pipelines.compliance.scoring import scored
from pipelines.evaluation.table import Row
from serving.entailment.overlap import WORD, stem
from serving.roles import Roles

Say = Callable[[str], None]
BREACHED, GOOD = "pellworth", "calder-wren"
MECHANICAL = 40
_AUXILIARY = frozenset(("be", "been", "have", "has", "ensure", "that", "only", "not", "also", "both", "then"))
_HELPED = re.compile(r"\b(is|are|was|were|has|have|must|shall|will|may|can|should)(?: (?:be|been|also|then|\w+ly))* $", re.IGNORECASE)
_NOUN = re.compile(r"\b(?:the|a|an|of|for|in|on|to|by|with|any|all|each|every|its|their|our) $", re.IGNORECASE)
LIKE = 0.4
"""Share of a requirement's words that a sentence must have to be taken for the one that keeps it."""


@dataclass(frozen=True)
class Breach:
    """A mechanical breach: the good document with one sentence changed or struck out, and the requirement that it breaks."""

    kind: str
    requirement: Requirement
    text: str


async def evaluate_samples(roles: Roles, *, mechanical: int = MECHANICAL, say: Say = lambda line: None) -> list[Row]:
    """The rows of the issue's table about the samples, and each miss by ``say``."""
    requirements = starter_requirements()
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        store = LocalObjectStore(Path(folder))

        async def check(name: str, text: str, asked: Sequence[Requirement]) -> list[RequirementVerdict]:
            document = markdown_document(name, text)
            found = await analyse(document, asked, roles, readings=Readings(store, "readings", f"{name}/"))
            return list(found.verdicts)

        breached = await check(BREACHED, SAMPLES[BREACHED].markdown, requirements)
        good = await check(GOOD, SAMPLES[GOOD].markdown, requirements)
        rows = [*_planted(breached, say), *_false_alarms(good, say)]
        noticed: dict[str, list[bool]] = {}
        kept = {one.requirement.id for one in good if one.verdict == "satisfied"}
        for breach in breaches(SAMPLES[GOOD].markdown, requirements, mechanical):
            (after,) = await check(GOOD, breach.text, [breach.requirement])
            seen = breach.requirement.id in kept and after.verdict != "satisfied"
            noticed.setdefault(breach.kind, []).append(seen)
            if not seen:
                say(f"not noticed ({breach.kind}): {breach.requirement.text[:110]}")
    every = [seen for found in noticed.values() for seen in found]
    rows.append(Row("mechanical breaches of the good sample noticed", sum(every) / max(1, len(every)), 0.80, 0.95, len(every)))
    return rows + [Row(f"  {kind}", sum(found) / len(found), of=len(found)) for kind, found in sorted(noticed.items())]


def starter_requirements() -> list[Requirement]:
    """What is extracted from the starter policies; permissions, which nothing can break, left out."""
    found = []
    for path in sorted(POLICIES.glob("*.md")):
        found += extract_requirements(markdown_document(path.name, path.read_text()))
    return [one for one in found if scored(one)]


def markdown_document(name: str, text: str) -> Document:
    """A Markdown text as the reader gives it, without a process of its own: these files are our own."""
    blocks = [(kind, start, end, 1, level) for kind, start, end, level in markdown_blocks(text)]
    return Document(name, MARKDOWN, (Page(1, 0, text),), with_paths(blocks, text), False)


def of_clause(verdicts: Sequence[RequirementVerdict], clause: PolicyClause) -> list[RequirementVerdict]:
    """The verdicts on the requirements that were extracted from a clause of a policy."""
    words = policy_clause(clause.policy, clause.clause)
    words = _plain(words)
    sources = [(one, one.requirement.source) for one in verdicts]
    here = [(one, _plain(without_marks(source.text))) for one, source in sources if source and source.document == clause.policy]
    return [one for one, text in here if text in words]


def breaches(text: str, requirements: Sequence[Requirement], count: int) -> list[Breach]:
    """``count`` breaches, the same ones every time: negated, another number, struck out, in turn over the requirements.

    The sentence that is changed is the one that shares most words with the requirement.
    """
    rng = random.Random(0)  # noqa: S311 - the same breaches every time
    spans = spans_of(markdown_document(GOOD, text))
    pairs: list[tuple[Requirement, Span]] = []
    for one in requirements:
        span = max(spans, key=lambda span: shared_words(one.text, span.text))
        if shared_words(one.text, span.text) >= LIKE:
            pairs.append((one, span))
    rng.shuffle(pairs)
    found: list[Breach] = []
    ways: tuple[tuple[str, Callable[[str, str], str | None]], ...] = (
        ("another number", worse_number),
        ("negated", negated_duty),
        ("struck out", lambda sentence, _: ""),
    )
    for kind, change in ways:
        made = 0
        for one, span in pairs:
            if made >= -(-count // len(ways)) or len(found) == count:
                break
            if (changed := change(span.text, one.text)) is not None:
                found.append(Breach(kind, one, text[: span.start] + changed + text[span.end :]))
                made += 1
    return found


def negated_duty(sentence: str, requirement: str) -> str | None:
    """The sentence with the verb of the requirement's duty negated; None where the requirement is no duty, the sentence has not
    its verb, or it stands where a "not" cannot be put by rule.

    A negation anywhere else ("what is not no longer needed") is no breach of the duty.
    """
    wording = read_wording(requirement)
    verb = next((word for word in WORD.findall(wording.action) if word.lower() not in _AUXILIARY), "") if wording else ""
    if wording is None or wording.modality != "obligation" or not stem(verb):
        return None
    for found in WORD.finditer(sentence):
        if stem(found[0]) != stem(verb):
            continue
        before = sentence[: found.start()]
        if helped := _HELPED.search(before):
            return f"{before[: helped.end(1)]} not{sentence[helped.end(1) :]}"
        if not re.fullmatch(r"\w+(?<!s)s", found[0]) or _NOUN.search(before):
            return None
        return f"{before}does not {_base(found[0])}{sentence[found.end() :]}"
    return None


def _base(verb: str) -> str:
    """ "verifies" to "verify", "assesses" to "assess", "keeps" to "keep"."""
    if verb.endswith("ies"):
        return verb[:-3] + "y"
    return verb[:-2] if verb.endswith(("sses", "shes", "ches", "xes", "zzes")) else verb[:-1]


def worse_number(sentence: str, requirement: str) -> str | None:
    """The sentence with its number ten times too large, or too small where the requirement sets a minimum; None where
    it has no number that keeps one of the requirement's."""
    for wanted in quantities(requirement):
        for said in quantities(sentence):
            number = re.search(r"\d[\d,]*|" + "|".join(NUMBER_WORDS), said.text, re.IGNORECASE)
            if said.kind != wanted.kind or number is None or not keeps_quantity(wanted, said, requirement):
                continue
            value = NUMBER_WORDS.get(number[0].lower()) or int(number[0].replace(",", ""))
            least = wanted.bound == "least" or "retain" in requirement or "kept" in requirement
            worse = max(1, value // 10) if least else value * 10
            at = sentence.index(said.text) + number.start()
            return sentence[:at] + str(worse) + sentence[at + len(number[0]) :] if worse != value else None
    return None


def _planted(verdicts: Sequence[RequirementVerdict], say: Say) -> list[Row]:
    planted = SAMPLES[BREACHED].planted
    found = []
    for breach in planted.breaches:
        here = of_clause(verdicts, breach)
        wanted = ("violated", "not_addressed") if breach.kind == "missing" else ("violated",)
        hit = any(one.verdict in wanted for one in here)
        found.append(hit)
        if not hit:
            told = ", ".join(f"{one.verdict} {getattr(one.probabilities, one.verdict):.2f}" for one in here) or "not extracted"
            say(f"not found ({breach.kind}): {breach.policy} {breach.clause}: {told}")
    named = {id(one) for breach in planted.breaches for one in of_clause(verdicts, breach)}
    alarms = [one for one in verdicts if one.verdict == "violated" and id(one) not in named]
    for one in alarms:
        say(f"false alarm in {BREACHED}: {one.requirement.text[:110]}")
    return [
        Row("planted breaches found", sum(found) / len(found), 1.0, of=len(found)),
        Row("  called violated in the breached sample, and not planted", float(len(alarms)), low=True),
    ]


def _false_alarms(verdicts: Sequence[RequirementVerdict], say: Say) -> list[Row]:
    alarms = [one for one in verdicts if one.verdict == "violated"]
    gaps = [one for one in verdicts if one.verdict == "not_addressed" and one.requirement.modality == "obligation"]
    for one in alarms:
        say(f"false alarm in {GOOD}: {one.requirement.text[:110]}")
    return [
        Row("false alarms on the good sample", float(len(alarms)), 0.0, of=len(verdicts), low=True),
        Row("  obligations of the good sample called not addressed", float(len(gaps)), of=len(verdicts), low=True),
    ]


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .")
