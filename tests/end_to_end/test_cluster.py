"""A deployment as docker-compose.yml describes it, as processes: 'make cluster'."""

from __future__ import annotations

import signal
import tempfile
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from live import photograph

from benchmarks.topology import Topology

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

STUDY = {
    "activations": [{"family": "gaussian"}],
    "network": {"width": 48, "hidden_layers": 3},
    "training": {"steps": 1000},
    "search": {"trials": 8, "seed": 0},
    "confirm": {"finalists": 1, "seeds": 2},
    "baselines": ["xavier"],
    "reuse": False,
}
WAIT = 600.0


@pytest.fixture(scope="module")
def topology() -> Iterator[Topology]:
    """Everything runs, on two nodes that train; at the end nothing is left."""
    with tempfile.TemporaryDirectory(prefix="vc-", dir="/tmp") as folder:
        with Topology(Path(folder)) as running:
            yield running
            family = [process for name in running.processes for process in running.family(name)]
        assert psutil.wait_procs(family, timeout=30)[1] == []


def training(topology: Topology, node: str) -> bool:
    """Whether a trainer of this node plays a turn now: Ray writes the method into the process's title."""
    titles = []
    for process in topology.family(node):
        try:
            titles.append(process.cmdline())
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return any(title and title[0].startswith("ray::_TrainerActor.turn") for title in titles)


def test_a_study_survives_the_loss_of_a_node(topology: Topology) -> None:
    """A study that is sent over HTTP trains on both nodes; one is killed in the middle and comes back later; the study
    completes with every trial counted once, and the runner is the same process as before.
    """
    dataset = topology.upload(photograph(48))
    study = topology.request("/v1/studies", STUDY | {"dataset_id": dataset})["id"]
    runner = topology.processes["runner"].pid

    def trials() -> dict[int, str]:
        items = topology.request(f"/v1/studies/{study}/trials?limit=200")["items"]
        return {trial["number"]: trial["state"] for trial in items}

    topology.wait_until(
        lambda: training(topology, "node-0") and training(topology, "node-1"), "trials on both nodes", WAIT
    )
    topology.wait_until(
        lambda: "complete" in trials().values() and training(topology, "node-0"), "a finished trial", WAIT
    )
    assert list(trials().values()).count("running") == 2
    topology.signal("node-0", signal.SIGKILL)
    topology.wait_until(lambda: training(topology, "node-1"), "the other node to go on", WAIT)
    topology.start_node("node-0")
    topology.wait_until(lambda: training(topology, "node-0"), "the node that came back", WAIT)

    def ended() -> object:
        found = topology.request(f"/v1/studies/{study}")
        return found if found["state"] in ("completed", "failed", "cancelled") else None

    found = topology.wait_until(ended, "the study's end", WAIT)
    assert found["state"] == "completed", found
    assert sum(state in ("complete", "pruned") for state in trials().values()) == 8
    assert "running" not in trials().values()
    assert topology.processes["runner"].poll() is None
    assert topology.processes["runner"].pid == runner
    assert topology.request(f"/v1/studies/{study}/best")["families"]


def test_the_dashboard_shows_the_study_and_cannot_change_it(topology: Topology) -> None:
    """It lists the study in words over HTTP, tells its story by the reader's role, refuses what would change one."""
    studies = topology.request("/api/studies", url=topology.dashboard_url)["study_summaries"]
    assert [study["study_name"].partition(" (")[0] for study in studies] == ["p.png, gaussian: completed"]
    number = studies[0]["study_id"]
    detail = topology.request(f"/api/studies/{number}", url=topology.dashboard_url)
    assert len(detail["trials"]) >= 8
    assert "/report)" in detail["note"]["body"]
    assert detail["plotly_graph_objects"]
    assert detail["artifacts"]
    for method, path, body in (
        ("POST", "/api/studies", {"study_name": "mine", "directions": ["maximize"]}),
        ("DELETE", f"/api/studies/{number}", None),
        ("PUT", f"/api/studies/{number}/note", {"body": "mine", "version": 1}),
    ):
        with pytest.raises(urllib.error.HTTPError, match="405"):
            topology.request(path, body, url=topology.dashboard_url, method=method)
    assert topology.request("/api/studies", url=topology.dashboard_url)["study_summaries"] == studies


def test_a_node_without_the_token_is_refused(topology: Topology) -> None:
    """Whoever does not know the token cannot join: the process ends with an error."""
    secret = topology.folder / "secrets" / "ray_token"
    token = secret.read_text()
    secret.chmod(0o600)
    secret.write_text("0" * 64)
    try:
        topology.start_node("stranger")
        assert topology.processes["stranger"].wait(300) != 0
        assert "uthent" in topology.log("stranger")
    finally:
        secret.write_text(token)
        topology.processes.pop("stranger")
