"""What ``workbench up`` tells once it is ready; at the first start, with the bundled sample's finished report.

The compliance programme's sample is begun after that, as a job: nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from infra.datafolder import DataFolder
from pipelines.jobs import ENDED
from workbench.services.addresses import job_page

if TYPE_CHECKING:
    from workbench.supervisor.supervisor import Supervisor

SAMPLE = "mni152"
KEY = "first-sample"
DOCUMENT = "pellworth"
DOCUMENT_KEY = "first-document"
READING = 180.0
"""Seconds that the starter policies may take to be read before the document is checked against them."""


class Banner:
    """Prints the sign-in link and the latest result; makes that result where there is none yet.

    Args:
        say: gets lines for a person.
        sample: whether to analyse the bundled sample where nothing has been analysed yet.
    """

    def __init__(self, say: Callable[[str], None], *, sample: bool) -> None:
        self._say = say
        self._sample = sample

    async def __call__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._token = DataFolder(supervisor.settings.home).owner_token.read_text().strip()
        _, said = await self._ask("/jobs?limit=1")
        latest = (said or {}).get("jobs") or []
        if self._sample and not latest:
            await self._run_sample()
        elif latest and latest[0]["state"] not in ENDED:
            self._say(f"{latest[0]['title']} resumed: {self._address(latest[0])}")
        elif latest:
            self._say(f"Latest: {latest[0]['title']}, {latest[0]['state']}: {self._address(latest[0])}")
        minutes = supervisor.settings.gateway.sign_in_link_minutes
        self._say(f"Sign in (one-time link, valid for {minutes} minutes): {supervisor.link}")
        if self._sample and not latest:
            await self._check_document()

    async def _run_sample(self) -> None:
        from workbench.services.report_text import report_text

        self._say("First start: analysing the bundled sample (the MNI152 template)")
        status, job = await self._ask("/imaging/analyze", post={"sample": SAMPLE}, key=KEY, seconds=120)
        if status != 202:
            self._say(f"The sample could not be analysed: {(job or {}).get('detail', 'the gateway did not answer')}")
            return
        after = 0
        while job["state"] not in ENDED:
            await asyncio.sleep(0.3)
            status, said = await self._ask(f"/jobs/{job['id']}/events?after={after}")
            if status != 200:
                continue  # the gateway restarts; the job is durable
            job = said["job"]
            for event in said["events"]:
                after = event["id"]
                if event["kind"] == "finished":
                    self._say(f"  {event['message']}: {event['seconds'] or 0:.1f} s")
        if job["state"] != "done":
            self._say(f"The sample {job['state']}: {(job.get('error') or {}).get('message', '')}")
            return
        status, report = await self._ask(f"/imaging/analysis/{job['id']}")
        if status == 200:
            self._say("\n" + report_text(report) + "\n")
        self._say(f"The report: {self._address(job)}")

    async def _check_document(self) -> None:
        """Begin the sample analysis of the compliance programme, and do not wait for it: the workbench is in use already."""
        status, job = await self._ask(f"/mlops/samples/{DOCUMENT}/analyze", post={}, key=DOCUMENT_KEY, seconds=READING)
        if status == 202:
            self._say(f"A sample document is being checked against the starter policies: {self._address(job)}")
        else:
            self._say(f"The sample document could not be checked: {(job or {}).get('detail', 'the gateway did not answer')}")

    def _address(self, job: dict[str, Any]) -> str:
        return self._supervisor.settings.url + job_page(job["pipeline"], job["id"])

    async def _ask(self, path: str, **given: Any) -> tuple[int, Any]:
        from workbench.supervisor.small_http import ask

        return await ask(*self._supervisor.address, path, token=self._token, **given)
