"""Models that need no weights, and passages to ask about."""

import numpy as np
import pytest

from knowledge.search import Passage
from pipelines.questions import Found
from pipelines.questions.calibration import Calibration
from pipelines.questions.logistic import Logistic
from serving.entailment.overlap import stems
from serving.registry.versions import ModelRef
from serving.roles import Roles
from serving.roles.entailment import Entailment
from serving.roles.llm import Delta
from tests.embedders import WordsEmbedding

READER = ModelRef("entailment", "words", "3", "3" * 64, "numpy", "cpu")
WRITER = ModelRef("llm", "script", "1", "4" * 64, "python", "cpu")

HEART = (
    "The heart pumps blood.\nAspirin thins the blood and\nprevents clots. It was sold in 1899.\fPage two speaks of aspirin doses of 100 mg."
)
BRAIN = "The hippocampus stores memories. Aspirin thins the blood and prevents clots."


class SharedStems:
    """Entailed is the share of the claim's words that the passage has."""

    async def entail(self, pairs, *, version=None):
        shares = [len(stems(claim) & stems(passage)) / max(1, len(stems(claim))) for claim, passage in pairs]
        return Entailment(np.array([[0.98 * share + 0.01, 0.005, 0.985 - 0.98 * share] for share in shares], np.float32), READER)


class Script:
    """A language model that says what it was told to, a few characters at a time."""

    def __init__(self, text: str) -> None:
        self.text, self.asked = text, []

    async def write(self, messages, options=None, *, version=None):
        self.asked.append(messages)
        for start in range(0, len(self.text), 7):
            yield Delta(self.text[start : start + 7], WRITER)
        yield Delta("", WRITER, "stop")


def found(document: str, text: str, *, page: int | None = 1, start: int = 0, score: float = 1.0) -> Found:
    return Found(Passage(document, None, page, start, start + len(text), text, score), "c1", "notes")


@pytest.fixture
def passages():
    return [found("heart.pdf", HEART, page=4, start=50), found("brain.txt", BRAIN, page=None, score=0.6)]


@pytest.fixture
def roles():
    return Roles(embedding=WordsEmbedding(), entailment=SharedStems())


@pytest.fixture
def calibration():
    names = ("mentioned", "nearness", "shared words", "passage")
    of_all = ("best mentioned", "best nearness", "third nearness", "best shared words")
    return Calibration(Logistic(names, (1.0, 2.0, 3.0, 0.2), -4.0), Logistic(of_all, (0.5, 1.0, 0.0, 4.0), -3.5), 0.5)


@pytest.fixture
def search(passages):
    async def run(question, count):
        run.asked.append(question)
        return passages[:count]

    run.asked = []
    return run
