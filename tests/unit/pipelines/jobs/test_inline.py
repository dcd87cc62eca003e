"""A pipeline as a function: order, state, progress, errors, retries and its working folders."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from infra.errors import ConfigurationError, CorruptFile, Timeout, Unavailable, WorkbenchError
from infra.objectstore import make_object_store
from infra.settings import load_settings
from pipelines.jobs.definition import Pipeline, Stage
from pipelines.jobs.execution import run_stage
from pipelines.jobs.inline import run_inline
from serving.roles import Roles


@pytest.fixture
def run(tmp_path):
    settings = load_settings(home=tmp_path, jobs={"attempts": 3, "backoff_seconds": 0.01, "stage_timeout_seconds": 0.5})

    async def run(*stages, progress=None, **given):
        pipeline = Pipeline("trial", "Trial", stages)
        return await run_inline(
            pipeline, input=given, settings=settings, store=make_object_store(settings), roles=Roles(), title="T", progress=progress
        )

    run.home = tmp_path
    return run


def stage(name, function, weight=1.0):
    return Stage(name, f"Doing {name}", function, weight=weight)


async def test_stages_run_in_order_and_their_answers_are_merged(run):
    async def first(context, state):
        return {"a": context.input["x"], "both": 1}

    async def second(context, state):
        return {"b": state["a"] + 1, "both": 2}

    assert await run(stage("first", first), stage("second", second), x=1) == {"a": 1, "b": 2, "both": 2}


async def test_what_works_inline_works_as_a_job_because_state_is_json(run):
    async def tuples(context, state):
        return {"pair": (1, 2)}

    async def after(context, state):
        return {"kind": type(state["pair"]).__name__}

    assert (await run(stage("tuples", tuples), stage("after", after)))["kind"] == "list"


@pytest.mark.parametrize("value", [Path("x"), float("nan"), "x" * 1_000_001])
async def test_a_stage_may_only_return_small_json(run, value):
    async def bad(context, state):
        return {"value": value}

    with pytest.raises(WorkbenchError, match="bad") as caught:
        await run(stage("bad", bad))
    assert caught.value.code == "internal" and not caught.value.retryable


async def test_a_stage_cannot_change_the_state_of_others_but_by_returning(run):
    async def first(context, state):
        state["sneaked"] = True
        return {}

    async def second(context, state):
        return {"saw": "sneaked" in state}

    assert (await run(stage("first", first), stage("second", second)))["saw"] is False


async def test_retryable_errors_are_tried_again_with_a_doubling_wait(run):
    tries, told = [], []

    async def shaky(context, state):
        tries.append(asyncio.get_running_loop().time())
        if len(tries) < 3:
            raise Unavailable("away")
        return {"tries": len(tries)}

    state = await run(stage("shaky", shaky), progress=lambda fraction, message: told.append(message))
    assert state == {"tries": 3}
    assert tries[2] - tries[1] > tries[1] - tries[0] >= 0.01
    assert [text for text in told if "Trying again" in text] == ["away Trying again in 0.01 s.", "away Trying again in 0.02 s."]


async def test_after_the_last_try_the_error_stands_and_names_its_stage(run):
    tries = []

    async def away(context, state):
        tries.append(1)
        raise Unavailable("away")

    with pytest.raises(Unavailable) as caught:
        await run(stage("away", away))
    assert len(tries) == 3 and caught.value.details["stage"] == "away"


@pytest.mark.parametrize("error", [CorruptFile("broken"), KeyError("surprise")])
async def test_other_errors_are_not_tried_again(run, error):
    tries = []

    async def broken(context, state):
        tries.append(1)
        raise error

    with pytest.raises(WorkbenchError) as caught:
        await run(stage("broken", broken))
    assert len(tries) == 1
    assert caught.value.code == ("corrupt_file" if isinstance(error, CorruptFile) else "internal")
    if isinstance(error, KeyError):
        assert "broken" in caught.value.message and "KeyError" in caught.value.message and "Traceback" not in caught.value.message


async def test_a_stage_that_hangs_is_a_timeout(run):
    async def hangs(context, state):
        await asyncio.sleep(60)

    with pytest.raises(Timeout, match=r"hangs.*0\.5 seconds"):
        await run(stage("hangs", hangs))


async def test_a_stages_own_timeout_error_is_not_taken_for_ours(run):
    async def own(context, state):
        raise TimeoutError

    with pytest.raises(WorkbenchError) as caught:
        await run(stage("own", own))
    assert caught.value.code == "internal"


async def test_progress_is_the_share_of_the_whole_by_weight(run):
    told = []

    async def half(context, state):
        context.progress(0.5, "halfway")
        return {}

    await run(stage("a", half, weight=1), stage("b", half, weight=3), progress=lambda fraction, message: told.append((fraction, message)))
    assert told == [(0.0, "Doing a"), (0.125, "halfway"), (0.25, "Doing b"), (0.625, "halfway"), (1.0, "Done")]


@pytest.mark.parametrize("fails", [False, True])
async def test_the_working_folder_is_empty_private_and_gone_afterwards(run, fails):
    seen = []

    async def writes(context, state):
        seen.append(context.workdir)
        assert list(context.workdir.iterdir()) == [] and context.workdir.stat().st_mode & 0o077 == 0
        (context.workdir / "scratch").write_text("x")
        if fails:
            raise CorruptFile("broken")
        return {}

    if fails:
        with pytest.raises(CorruptFile):
            await run(stage("writes", writes))
    else:
        await run(stage("writes", writes))
    assert seen[0].is_relative_to(run.home) and not seen[0].exists()


async def test_a_stage_that_is_not_known_any_more_is_said_in_a_sentence(run):
    with pytest.raises(ConfigurationError, match="no stage 'gone'"):
        await run_stage(Pipeline("trial", "Trial", ()), "gone", None, {})


def test_two_stages_of_one_name_are_refused():
    async def nothing(context, state):
        return {}

    one = stage("one", nothing)
    with pytest.raises(ValueError, match="names of their own"):
        Pipeline("trial", "Trial", (one, one))
    with pytest.raises(ValueError, match="names of their own"):
        Pipeline("trial", "Trial", (one,), retired={"one": replace(one)})
