"""The compose file keeps its promises: nothing off loopback, no secret in an environment, starts in order."""

from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((HERE / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = ("migrate", "api", "runner", "dashboard")


def test_every_published_port_is_on_loopback():
    """Who wants others to reach it puts a proxy with TLS before it."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["api", "dashboard"])
def test_keys_are_on_where_a_container_listens_to_others(name):
    """Off loopback neither would start without."""
    assert SERVICES[name]["environment"]["VI3NR_REQUIRE_KEYS"] == "true"
    assert "0.0.0.0" in SERVICES[name]["command"]


def test_no_secret_stands_in_an_environment():
    """Passwords come as files."""
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or name.endswith("_FILE"), name
            assert "@" not in str(value) or ":" not in str(value).split("//")[1].split("@")[0], "a password in a URL"


@pytest.mark.parametrize("name", OURS)
def test_our_services_share_an_image_and_wait_for_the_database(name):
    """One image for every role; the database is healthy before migrate, migrated before the others."""
    service = SERVICES[name]
    assert service["image"] == SERVICES["api"]["image"]
    awaited = {key: value["condition"] for key, value in service["depends_on"].items()}
    expected = {"postgres": "service_healthy"} if name == "migrate" else {"migrate": "service_completed_successfully"}
    assert awaited == expected
    assert service["read_only"] is True


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_vi3nr(name):
    """What the containers run parses as our command line does: --help of the same words succeeds."""
    from typer.testing import CliRunner

    from service.commands import app

    done = CliRunner().invoke(app, [*map(str, SERVICES[name]["command"]), "--help"])
    assert done.exit_code == 0, done.output


def test_the_image_runs_as_an_ordinary_user():
    """The Dockerfile's last USER is not root."""
    users = [line.split()[1] for line in (HERE / "Dockerfile").read_text().splitlines() if line.startswith("USER ")]
    assert users[-1:] == ["vi3nr"]
