"""What the words of one sentence ask for: modality, severity, and its parts. Rules of English; other languages give None.

The cue words are those that drafting manuals prescribe for duties, prohibitions and discretion (for example the
European Union's Joint Practical Guide, 2015, 10.3, and RFC 2119 for "must", "should" and "may").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from knowledge.requirements.contract import Modality, Severity

_ADVERB = r"(?:\s+(?:\w+ly|always|at all times|also|at least|only|in all cases|then))?"
_PROHIBITION = re.compile(
    r"\b(?:(?:shall|must|may|will|should|can)" + _ADVERB + r"\s+(?:not|never)\b|cannot|must only|may only|shall only"
    r"|(?:is|are) (?:strictly |expressly )?(?:prohibited|forbidden)(?: from)?|(?:is|are) not (?:permitted|allowed|to be)\b"
    r"|refrains? from|in no (?:event|case) (?:shall|may|must)|(?:under no circumstances|neither)\b.{0,60}?\b(?:may|shall|must|will))",
    re.IGNORECASE,
)
_NO_ONE = re.compile(
    r"^(?:no|neither)\s+[\w\s,'-]{2,80}?\b(?P<modal>may|shall|must|will|is permitted to|are permitted to|is|are)\b", re.IGNORECASE
)
NOT_REQUIRED = re.compile(
    r"\b(?:need not|(?:is|are) not (?:required|obliged|obligated) to|(?:does|do) not (?:need|have) to)\b", re.IGNORECASE
)
_OBLIGATION = re.compile(
    r"\b(?:shall|must|will|should|ought to|(?:is|are) (?:required|obliged|obligated|responsible|expected|bound) (?:to|for)"
    r"|(?:has|have|needs?) to|(?:undertakes?|agrees?|commits?) to|(?:is|are) to be|it is (?:mandatory|required|necessary) (?:to|that))\b",
    re.IGNORECASE,
)
_PERMISSION = re.compile(
    r"\b(?:may|can|(?:is|are) (?:permitted|allowed|entitled|authori[sz]ed|free) to|has the right to|have the right to)\b", re.IGNORECASE
)
_ONLY = re.compile(r"^only\b.*\b(?:may|can)\b", re.IGNORECASE)
_NONE = re.compile(
    r"\b(?:means|shall mean|has the meaning|have the meanings?|is defined as|are defined as|refers to|table of contents"
    r"|this (?:policy|procedure|document|standard|section|regulation) (?:applies|sets out|describes|explains"
    r"|covers|shall apply|is effective"
    r"|will be (?:reviewed|effective))|(?:shall|will) (?:apply|come into force|take effect|be construed|be deemed)|may be cited as)\b",
    re.IGNORECASE,
)
_TAGGED = re.compile(
    r"[\s(\[]*\b(?:severity|priority|criticality)\s*[:=]\s*(critical|high|medium|low)\b[)\].]*\s*|\s*[(\[](critical|high|medium|low)[)\]]\.?\s*",
    re.IGNORECASE,
)
_SEVERITY: tuple[tuple[Severity, re.Pattern[str]], ...] = (
    (
        "critical",
        re.compile(
            r"\b(?:under no circumstances|zero[- ]tolerance|strictly (?:prohibited|forbidden)|without exception|of critical importance"
            r"|critical breach|criminal offence|must never|shall never|in no (?:event|case))\b",
            re.IGNORECASE,
        ),
    ),
    (
        "high",
        re.compile(
            r"\b(?:immediately|without (?:undue )?delay|at all times|in all cases|always|serious|essential|mandatory"
            r"|must not|shall not|may not"
            r"|prohibited|forbidden|not permitted|within (?:24|48|72|\w+-?\w* \(?(?:24|48|72)\)?) hours)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "low",
        re.compile(
            r"\b(?:should|where (?:practicable|possible|appropriate)|encouraged|recommended|as far as possible|ideally)\b", re.IGNORECASE
        ),
    ),
)
_LABEL = re.compile(
    r"^\s*(?:(?:section|article|clause|requirement|rule|art\.?)\s+)?(?:[A-Z]{1,4}-?\d+(?:\.\d+)*|\(?\d{1,3}(?:\.\d{1,3})*[.)]?|\(?[a-z]{1,2}[.)]|\(?[ivx]{1,5}[.)])"
    r"(?:[:.)]?\s+)(?=\S)|^\s*[•▪◦*–—-]\s+",
    re.IGNORECASE,
)
_CONDITION_FIRST = re.compile(
    r"^(?:if|where|when|whenever|before|after|once|upon|following|in the event|during|as soon as|prior to|until)\b[^,]{3,200},\s*",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"[,\s]+(?:if|where|when|whenever|before|after|once|upon|in the event|as long as|prior to|until)\b.*$", re.IGNORECASE
)
_EXCEPTION = re.compile(
    r"[,;\s]+(?:unless|except(?:ing)?(?: that| where| for| to| as)?|other than"
    r"|save (?:that|where|for|as)|provided(?:,? however,?)? that|with the exception of)\b.*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Wording:
    """What a sentence asks for; the parts are as it words them."""

    modality: Modality
    severity: Severity
    subject: str
    action: str
    condition: str
    exception: str


def without_marks(text: str) -> str:
    """The sentence on one line without its number and its tag of severity."""
    line = " ".join(text.split())
    found = _LABEL.match(line)
    return _TAGGED.sub(" ", line[found.end() if found else 0 :]).strip()


def is_labelled(text: str) -> bool:
    """Whether it begins with a number, a letter or a bullet of its own."""
    return _LABEL.match(" ".join(text.split())) is not None


def tagged_severity(text: str) -> Severity | None:
    """The severity that a tag says: "(Severity: high)", "[critical]"; None without one."""
    found = _TAGGED.search(" ".join(text.split()))
    return (found[1] or found[2]).lower() if found else None  # type: ignore[return-value]


def leading_tag(text: str) -> tuple[Severity | None, str]:
    """A tag that a sentence begins with, which is the one before's ("... at once. (Severity: high)"); and what follows it."""
    line = text.lstrip()
    found = _TAGGED.match(line)
    return (tagged_severity(found[0]), line[found.end() :]) if found else (None, text)


def modality_of(text: str) -> Modality | None:
    """None where the sentence asks for nothing: a definition, a scope, a fact."""
    found = _modal(text)
    return found[0] if found else None


def read_wording(text: str) -> Wording | None:
    """What a sentence (without marks, see :func:`without_marks`) asks for; None where that is nothing."""
    found = _modal(text)
    if found is None:
        return None
    modality, (begin, end) = found
    condition = ""
    if first := _CONDITION_FIRST.match(text):
        condition = first[0].strip(" ,")
    subject = text[first.end() if first and first.end() <= begin else 0 : begin]
    action = text[end:].strip(" .;")
    exception = match[0] if (match := _EXCEPTION.search(action)) else ""
    action = action[: len(action) - len(exception)] if exception else action
    if not condition and (match := _CONDITION.search(action)):
        condition = match[0]
        action = action[: match.start()]
    return Wording(modality, severity_of(text), subject.strip(" ,;:"), action.strip(" ,;:"), condition.strip(" ,;"), exception.strip(" ,;"))


def severity_of(text: str) -> Severity:
    """From the policy's own words: a tag first, then what it stresses or softens; else medium."""
    if tagged := tagged_severity(text):
        return tagged
    for severity, cue in _SEVERITY:
        if cue.search(text):
            return severity
    return "medium"


def _modal(text: str) -> tuple[Modality, tuple[int, int]] | None:
    if _NONE.search(text):
        return None
    if found := _NO_ONE.match(text):
        return "prohibition", found.span("modal")
    if _ONLY.match(text):
        return "prohibition", next(re.finditer(r"\b(?:may|can)\b", text, re.IGNORECASE)).span()
    cues: tuple[tuple[Modality, re.Pattern[str]], ...] = (
        ("permission", NOT_REQUIRED),
        ("prohibition", _PROHIBITION),
        ("obligation", _OBLIGATION),
        ("permission", _PERMISSION),
    )
    hits: list[tuple[int, int, Modality, tuple[int, int]]] = [
        (match.start(), order, modality, match.span()) for order, (modality, cue) in enumerate(cues) if (match := cue.search(text))
    ]
    if not hits:
        return None
    # The first cue is the main clause's, unless it stands in the condition that the sentence begins with.
    first = _CONDITION_FIRST.match(text)
    main = [hit for hit in hits if first is None or hit[0] >= first.end()] or hits
    _, _, modality, span = min(main, key=lambda hit: (hit[0], hit[1]))
    return modality, span
