import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent.parent


def test_the_arrows_between_the_rooms_hold():
    """workbench -> pipelines -> {serving, knowledge} -> infra, by import-linter's contracts in pyproject.toml."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_imports_itself_through_others():
    """Imports for type checkers aside: those are read by no process."""
    rooms = ("workbench", "pipelines", "serving", "knowledge", "infra")
    graph = grimp.build_graph(*rooms, exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}
    # Files that import none of those left, and those that none of them imports, are in no circle: what remains, is.
    while free := {name for name, found in imports.items() if not found & imports.keys()} | (
        imports.keys() - {other for found in imports.values() for other in found}
    ):
        imports = {name: found for name, found in imports.items() if name not in free}
    assert not sorted(imports)
