"""The API needs no package beyond those of its image: everything else is refused to it here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]

SERVE = """
import io, json, sys
from importlib.metadata import packages_distributions
from pathlib import Path

lines = Path("requirements-api.lock").read_text().splitlines()
lock = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
foreign = {
    package for package, owners in packages_distributions().items()
    if not lock & {owner.lower().replace("_", "-") for owner in owners}
} - {"service", "workers", "vi3nr", "tests", "benchmarks", "examples"}


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in foreign:
            raise ModuleNotFoundError(f"{name} is not in requirements-api.lock", name=name)


assert {"torch", "ray", "optuna", "optuna_dashboard", "alembic", "numba"} <= foreign
from starlette.testclient import TestClient
sys.meta_path.insert(0, Refuse())
import uvicorn, psycopg
import service.app, service.commands, service.processes
from PIL import Image
from service.settings import Settings

picture = Image.linear_gradient("L").resize((16, 12))
file = io.BytesIO()
picture.save(file, "PNG")
settings = Settings(data_dir=Path(sys.argv[1]))
with TestClient(service.app.create_app(settings)) as client:
    answers = [client.get("/healthz"), client.get("/readyz"), client.get("/openapi.json")]
    answers.append(client.post("/v1/datasets", files={"files": ("gradient.png", file.getvalue(), "image/png")}))
    study = {"dataset_id": answers[-1].json()["id"], "activations": [{"family": "gaussian"}, {"family": "sine"}]}
    answers.append(client.post("/v1/studies", json=study))
    answers += [client.get(answers[-1].headers["location"] + rest) for rest in ("", "/trials", "/surface", "/best")]
    answers.append(client.post("/v1/init", json={"family": "wire"}))
print(json.dumps([answer.status_code for answer in answers]))
"""


def test_the_api_serves_with_the_packages_of_its_lock_alone(upgraded: Path, tmp_path: Path) -> None:
    """Health, an upload, a study and what is asked about it are answered while every package outside of
    requirements-api.lock (torch, ray, optuna, alembic and all others) refuses to be imported.
    """
    (tmp_path / "vi3nr.db").write_bytes(upgraded.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path)], capture_output=True, text=True, cwd=HERE, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == [200, 200, 200, 201, 202, 200, 200, 200, 409, 200]


def test_the_locks_of_the_images_are_up_to_date() -> None:
    """Both are the part of requirements.lock that pyproject.toml asks for: 'make locks' would change nothing."""
    done = subprocess.run(
        [sys.executable, "deploy/locks.py", "--check"],
        capture_output=True,
        text=True,
        cwd=HERE,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
