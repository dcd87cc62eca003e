"""Who writes by default: the embedded language model quotes, a larger one writes."""

from pathlib import Path

import pytest

from infra.errors import ModelMissing
from infra.settings import Settings, load_settings
from pipelines.questions import AnswerOptions, answer_stream
from pipelines.questions.writers import usual_writer
from serving.registry.embedded import EMBEDDED
from serving.registry.versions import Catalogue, ModelRef, ModelVersion, write_catalogue


def serve(settings: Settings, source: str) -> None:
    version = ModelVersion(ModelRef("llm", "a model", "2", "5" * 64, "transformers", "cuda"), source)
    write_catalogue(settings, Catalogue({"llm": {"2": version}}, {"llm": "2"}))


def test_a_larger_model_writes_and_the_embedded_one_quotes(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "large.gguf").write_bytes(b"weights")
    serve(settings, str(tmp_path / "large.gguf"))
    assert usual_writer(settings) == "model"
    serve(settings, EMBEDDED["llm"].source)
    assert usual_writer(settings) == "quotes"


def test_without_a_language_model_sentences_are_quoted() -> None:
    assert usual_writer(load_settings(models={"llm": {"backend": "none"}})) == "quotes"


async def test_a_writer_that_is_not_there_is_said_before_anything_is_searched(search, roles, calibration) -> None:
    with pytest.raises(ModelMissing):
        async for _ in answer_stream("What?", search, roles, calibration=calibration, options=AnswerOptions(writer="model")):
            pass
    assert search.asked == []
