"""The compose files keep their promises: nothing off loopback, no secret in an environment, a start in order."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from service.commands import app
from service.secret_files import NAMES, make_secrets

HERE = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((HERE / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = tuple(name for name in SERVICES if name != "postgres")
RAY = ("ray-head", "ray-cpu", "ray-gpu", "runner")
OVERRIDES = ("deploy/several-hosts.yml",)


def test_every_published_port_is_on_loopback():
    """Who wants others to reach it puts a proxy with TLS before it."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["api", "optuna-dashboard"])
def test_keys_are_on_where_a_container_listens_to_others(name):
    """Off loopback neither would start without."""
    assert SERVICES[name]["environment"]["VI3NR_REQUIRE_KEYS"] == "true"
    assert "0.0.0.0" in SERVICES[name]["command"]


def test_no_secret_stands_in_an_environment():
    """Passwords and the token come as files, of which the environment has the names."""
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|SECRET", name) or name.endswith(("_FILE", "_PATH")), name
            assert not re.search("://[^/@]*:[^/@]*@", str(value)), "a password in a URL"
    given = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert given == set(COMPOSE["secrets"]) == set(NAMES)


def test_each_role_has_the_secrets_that_it_needs_and_no_other():
    """The nodes that train know no database password, the API no token of Ray, the dashboard only the reader's."""
    has = {name: set(service.get("secrets", [])) for name, service in SERVICES.items()}
    assert has["ray-head"] == has["ray-cpu"] == has["ray-gpu"] == {"ray_token"}
    assert has["api"] == {"postgres_password"}
    assert has["optuna-dashboard"] == {"reader_password"}
    assert "vi3nr_reader@" in SERVICES["optuna-dashboard"]["environment"]["VI3NR_DATABASE_URL"]


def test_each_starts_when_what_it_needs_is_healthy():
    """The database is healthy before migrate, migrated before the others, Ray's head before its nodes."""
    awaited = {
        name: {key: value["condition"] for key, value in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    migrated = {"migrate": "service_completed_successfully"}
    head = {"ray-head": "service_healthy"}
    assert awaited == {
        "postgres": {}, "ray-head": {}, "migrate": {"postgres": "service_healthy"},
        "api": migrated, "optuna-dashboard": migrated, "runner": migrated | head, "ray-cpu": head, "ray-gpu": head,
    }  # fmt: skip
    inherit_from_the_image = {"ray-cpu", "ray-gpu"}
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == inherit_from_the_image


@pytest.mark.parametrize("name", OURS)
def test_our_services_have_few_rights(name):
    """Read-only, without capabilities, an init process, bounded logs, started again when they fail."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "user" not in service, "the image's own user is not root"
    assert service["restart"] == ("on-failure" if name == "migrate" else "unless-stopped")
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert not service.get("privileged")


def test_all_roles_of_ray_run_one_image_with_tokens_on():
    """Head, nodes and runner must have the same Python and Ray; the API has an image without them."""
    assert len({SERVICES[name]["image"] for name in RAY}) == 1
    assert SERVICES["api"]["image"] != SERVICES["runner"]["image"]
    for name in RAY:
        assert SERVICES[name]["environment"]["RAY_AUTH_MODE"] == "token"
        assert SERVICES[name]["environment"]["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
    assert SERVICES["ray-cpu"]["profiles"] == ["cpu"]
    assert SERVICES["ray-gpu"]["profiles"] == ["gpu"]
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["ray-cpu", "ray-gpu"]


def test_database_and_cluster_cannot_be_reached_from_outside():
    """Their networks are internal, and only what has a published port is on another one."""
    networks = COMPOSE["networks"]
    assert networks["database"]["internal"] is networks["ray"]["internal"] is True
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == {"api", "optuna-dashboard"}


@pytest.mark.parametrize("name", ["migrate", "api", "runner", "optuna-dashboard"])
def test_every_command_is_one_of_vi3nr(name):
    """What the containers run parses as our command line does: --help of the same words succeeds."""
    done = CliRunner().invoke(app, [*map(str, SERVICES[name]["command"]), "--help"])
    assert done.exit_code == 0, done.output


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
@pytest.mark.parametrize("override", ["", *OVERRIDES])
@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_docker_compose_accepts_the_files(profile, override, tmp_path):
    """``docker-compose config`` renders each profile, alone and with each file that goes on top."""
    files = [word for file in ("docker-compose.yml", override) if file for word in ("--file", file)]
    command = ["docker-compose", *files, "--profile", profile, "config"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rendered = yaml.safe_load(done.stdout)
    assert set(rendered["services"]) == set(SERVICES)


def test_secrets_are_made_once(tmp_path):
    """Three different long words; a second call changes nothing; the folder is the owner's alone, and the files can be
    read in it by a container's user.
    """
    folder = tmp_path / "secrets"
    assert tuple(make_secrets(folder)) == NAMES
    words = {name: (folder / name).read_text() for name in NAMES}
    assert len(set(words.values())) == len(NAMES)
    assert all(re.fullmatch("[0-9a-f]{64}", word) for word in words.values())
    (folder / "ray_token").unlink()
    done = CliRunner().invoke(app, ["secrets", "init", str(folder)])
    assert "made ray_token" in done.output
    assert (folder / "postgres_password").read_text() == words["postgres_password"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def stages(text: str) -> dict[str, list[str]]:
    """The instructions of each stage of a Dockerfile."""
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.startswith("FROM "):
            current = found.setdefault(line.split()[-1], [line])
        elif line and not line.startswith("#"):
            current.append(line)
    return found


@pytest.mark.parametrize("target", ["api", "worker"])
def test_the_images_run_as_an_ordinary_user_and_check_their_health(target):
    """Both end with a numeric user that is not root, a health check, and a command of ours."""
    lines = stages((HERE / "Dockerfile").read_text())[target]
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001:10001"]
    assert sum(line.startswith("HEALTHCHECK ") for line in lines) == 1
    entry, command = (
        json.loads(line.split(maxsplit=1)[1]) for line in lines if line.startswith(("ENTRYPOINT ", "CMD "))
    )
    assert entry == ["vi3nr"]
    assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0


def test_the_dockerfile_has_no_lint():
    """hadolint finds nothing."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint is not None
    done = subprocess.run([hadolint, "Dockerfile"], cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
