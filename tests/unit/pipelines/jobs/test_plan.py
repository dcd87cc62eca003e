"""Plans, versions, and the catalog."""

import subprocess
import sys

import pytest

from infra.errors import NotFound
from pipelines.jobs.catalog import Catalog
from pipelines.jobs.definition import Pipeline
from tests.integration.pipelines.trial import NEW, OLD


def test_the_version_names_the_plan_and_only_that():
    assert OLD.version != NEW.version
    assert len(OLD.version) == 12 and OLD.version == Pipeline("trial", "Another title", OLD.stages).version


def test_a_retired_stage_still_runs_but_is_not_planned():
    assert "removed" not in NEW.plan and NEW.stage("removed").name == "removed"
    with pytest.raises(KeyError):
        OLD.stage("inserted")


def test_the_span_of_a_stage_goes_by_the_plan_of_the_job():
    assert OLD.span(OLD.plan, "middle") == (0.2, 0.6)
    assert NEW.span(OLD.plan, "removed") == (0.6, 0.8)  # an older job's plan, a newer program
    assert OLD.span(["unknown", "first"], "first") == (0.5, 1.0)


def test_the_catalog_imports_what_is_asked_for_and_names_what_there_is():
    catalog = Catalog({"trial": "tests.integration.pipelines.trial:OLD"})
    assert catalog.pipeline("trial") is OLD
    with pytest.raises(NotFound, match="Available: trial"):
        catalog.pipeline("other")


def test_looking_at_the_catalog_imports_no_pipeline():
    code = "import sys, pipelines.jobs.catalog as c; assert 'imaging' in c.names(); assert 'pipelines.imaging' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_runner_imports_nothing_heavy():
    heavy = {"torch", "monai", "transformers", "mlflow", "gradio", "nibabel", "scipy", "openvino", "alembic", "pipelines.jobs.definition"}
    code = f"import sys, pipelines.jobs.runner; found = {heavy!r} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_imaging_job_begun_before_its_stage_was_renamed_finishes_by_its_own_plan():
    from pipelines.imaging.pipeline import PIPELINE

    old = ["receive", "check", "see", "write", "verify", "store", "notify"]
    assert "see" not in PIPELINE.plan and PIPELINE.plan[2] == "segment"
    assert [PIPELINE.stage(name).run.__name__ for name in old][2] == "segment"
    assert PIPELINE.stage("see").title == PIPELINE.stage("segment").title
    assert PIPELINE.span(old, "see") == PIPELINE.span(PIPELINE.plan, "segment")
