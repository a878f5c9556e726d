"""The snippets of docs/library.md, and every module of the library, run without the service's packages."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "library.md"
WITHOUT_THE_SERVICE = """
import importlib, json, pkgutil, sys

ABSENT = {"ray", "optuna", "optuna_dashboard", "fastapi", "starlette", "pydantic", "pydantic_settings", "sqlalchemy",
          "alembic", "psycopg", "PIL", "skimage", "uvicorn", "typer", "trimesh", "soundfile",
          "tifffile", "rich", "httpx2", "safetensors", "workers", "service"}

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
import vi3nr

for found in pkgutil.walk_packages(vi3nr.__path__, "vi3nr."):
    importlib.import_module(found.name)
names = {"__name__": "library_page"}
for number, snippet in enumerate(json.loads(sys.stdin.read())):
    exec(compile(snippet, f"library.md, snippet {number + 1}", "exec"), names)
assert names["values"].shape == (100, 3)
assert not ABSENT & {name.partition(".")[0] for name in sys.modules}
"""


def test_every_snippet_runs_in_order_with_the_library_alone() -> None:
    """One after the other in one namespace, without a warning; the error shown is the one that the page quotes."""
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(snippets) > 5
    command = [sys.executable, "-W", "error", "-c", WITHOUT_THE_SERVICE]
    done = subprocess.run(
        command, cwd=ROOT, input=json.dumps(snippets), timeout=200, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("module '1' (LayerNorm) has parameters but is not a Linear layer")
