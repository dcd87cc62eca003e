"""Questions answered from documents: extract, then write; every sentence cited, or the answer is that it is not there."""

from pipelines.questions.answering import AnswerOptions, answer, answer_stream
from pipelines.questions.contract import NOT_HERE, Answer, Answered, Citation, Found, Piece, Said, Search, Searched, Sentence

__all__ = [
    "NOT_HERE",
    "Answer",
    "AnswerOptions",
    "Answered",
    "Citation",
    "Found",
    "Piece",
    "Said",
    "Search",
    "Searched",
    "Sentence",
    "answer",
    "answer_stream",
]
