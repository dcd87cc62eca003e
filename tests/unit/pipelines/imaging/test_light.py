"""Who only wants to know the plan does not wait for scan libraries: the runner restarts as fast as its imports."""

from __future__ import annotations

import subprocess
import sys


def test_the_definition_imports_no_heavy_library():
    code = (
        "import sys, pipelines.imaging.pipeline as p, pipelines.imaging\n"
        "heavy = {'nibabel', 'scipy', 'pydicom', 'reportlab', 'PIL', 'nrrd', 'torch', 'nilearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(' '.join(p.PIPELINE.plan))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["receive", "check", "segment", "write", "verify", "store", "notify"]
