"""How much this machine holds at once."""

from __future__ import annotations

import os

from infra.settings import Settings

GB_A_JOB = 1.5  # a whole head at 1 mm, read, segmented and drawn, with what the libraries keep


def jobs_at_once(settings: Settings) -> int:
    """Jobs that run at once: the setting ``jobs.concurrency``, or where it is 0 one a processor and one for each
    :data:`GB_A_JOB` of memory. Two at least, so that one scan is read or written while another is segmented."""
    if settings.jobs.concurrency:
        return settings.jobs.concurrency
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return max(2, min(len(os.sched_getaffinity(0)), int(memory_gb / GB_A_JOB)))
