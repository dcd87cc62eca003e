"""Follow-up questions: one that cannot be understood alone is searched with the question before it."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST = 400
"""Characters of the earlier question that are searched again."""

_SHORT = 3
_FUNCTION_WORDS = """
a about above after again all also am an and any anything are as at be because been before being below but by can could did do does
doing done down during each either else ever every few for from further had has have having here how i if in into is just many may me
might more most much must my no nor not of off on once one ones only or other our out over own please same shall should so some such
than the then there through to too under until up us very was we were what when where whether which while who whom whose why will with
would yes yet you your tell
"""
_FUNCTION = frozenset(_FUNCTION_WORDS.split())
_OPENS = re.compile(
    r"(?:what|who|whom|whose|which|when|where|why|how|is|are|was|were|do|does|did|has|have|had|can|could|may|must|shall|should|will|would)\b",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"(?:compare|define|describe|explain|find|give|list|name|show|summari[sz]e)\b", re.IGNORECASE)
_DEFINITION = re.compile(r"(?:what|who|where|when)\s+(?:is|are|was|were)\b", re.IGNORECASE)
_CONNECTOR = re.compile(r"(?:and|or|but|so|then|also|well|ok|okay)\b[\s,]*", re.IGNORECASE)
_ELLIPSIS = re.compile(r"(?:what about|how about|what else|who else|anything else|how so|why not|how come|more)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[,;:]|\b(?:and|or|but|when|while|if|because|before|after|since|until|so|that|which|who|how)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_PRONOUNS = frozenset(("it", "they", "them", "he", "she", "him"))
_POSSESSIVES = frozenset(("its", "their", "his", "her", "theirs", "hers"))
_BE = frozenset(("is", "are", "was", "were", "be", "been", "being", "will", "would", "could", "can", "may", "might", "must", "should"))
# "Is it possible to ...", "How long does it take to ...": this "it" stands for nothing.
_EMPTY_IT = re.compile(
    r"\bit\s+(?:is\s+|was\s+)?(?:take|takes|took|possible|necessary|allowed|permitted|required|forbidden|legal|illegal|true|safe|important)\b",
    re.IGNORECASE,
)
_THE_DOCUMENT = re.compile(
    r"\b(?:this|these|that|those)\s+(?:(?:agreement|article|book|collection|contract|document|file|paper|report|text)s?|polic(?:y|ies))\b",
    re.IGNORECASE,
)


def standalone(question: str, earlier: Sequence[str]) -> str:
    """The question preceded by the one it follows, where it cannot be understood alone; else the question unchanged.

    Args:
        earlier: the conversation's earlier questions, each as this function returned it, oldest first.
    """
    if not earlier or not needs_context(question):
        return question
    return f"{earlier[-1][-MOST:].strip()} {question}"


def needs_context(question: str) -> bool:
    """Whether a question is elliptic ("And in children?") or has a pronoun for something outside it ("When was it sold?")."""
    rest = question.strip()
    connected = _CONNECTOR.match(rest)
    if connected:
        rest = rest[connected.end() :]
    if _ELLIPSIS.match(rest):
        return True
    words = _WORD.findall(rest)
    meaning = [word for word in words if _has_meaning(word)]
    complete = bool(_OPENS.match(rest) or _COMMAND.match(rest))
    if connected and not (complete and len(meaning) >= 3):
        return True
    if not meaning:
        return True
    if len(words) <= _SHORT and not (_DEFINITION.match(rest) or _COMMAND.match(rest) or len(meaning) >= 2):
        return True
    return _refers(_THE_DOCUMENT.sub("the document", rest))


def _refers(question: str) -> bool:
    """Whether a pronoun stands for something that the question does not name before it."""
    words = [(match.group().lower(), match.start()) for match in _WORD.finditer(question)]
    for place, (word, start) in enumerate(words):
        before = words[place - 1][0] if place else ""
        after = words[place + 1][0] if place + 1 < len(words) else ""
        ahead = question[:start]
        if word in _PRONOUNS:
            if word == "it" and _EMPTY_IT.match(question, start):
                continue
            if not _names(ahead) and not (_CLAUSE.search(ahead) and _named_before_clause(ahead)):
                return True
        elif word in _POSSESSIVES:
            if not any(_has_meaning(one) for one in _WORD.findall(ahead)):
                return True
        elif word in ("this", "these") or (word == "those" and after not in ("who", "that", "with", "of", "which")):
            return True
        elif word == "that":  # after a word with a meaning it opens a clause: "reports that mention"
            if not _has_meaning(before):
                return True
        elif word == "there":
            if before not in _BE and after not in _BE:
                return True
        elif before == "the" and (word in ("former", "latter") or (word == "same" and after not in ("as", "time"))):
            return True
    return False


def _names(text: str) -> bool:
    """Whether the text has a proper name: a capital word that does not open it."""
    return any(word[0].isupper() and _has_meaning(word) for word in _WORD.findall(text)[1:])


def _named_before_clause(text: str) -> bool:
    *_, last = _CLAUSE.finditer(text)
    return any(_has_meaning(word) for word in _WORD.findall(text[: last.start()]))


def _has_meaning(word: str) -> bool:
    return bool(word) and word.lower() not in _FUNCTION | _PRONOUNS | _POSSESSIVES | {"this", "that", "these", "those"}
