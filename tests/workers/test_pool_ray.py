"""What a local Ray owes its owner besides the contract of pools."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from workers import ray_reaper
from workers.pool_ray import devices_of
from workers.ray_session import OwnNodeLostError, RaySession

REPOSITORY = Path(__file__).parents[2]

OWNER = """
import sys
from workers.pool_ray import RayPool
if __name__ == "__main__":
    pool = RayPool(cpus=1)
    print(pool._session.directory, flush=True)
    sys.stdin.read()
"""

WATCHED = """
import sys, tempfile
from pathlib import Path
from workers.ray_session import RaySession
session = RaySession.__new__(RaySession)  # without Ray: what watches is started first
session.directory = Path(tempfile.mkdtemp())
session._watch()
print(session.directory, flush=True)
sys.stdin.read()
"""


def test_no_process_outlives_an_owner_that_is_killed(tmp_path: Path) -> None:
    """After kill -9 of the process that opened a local Ray, all of its descendants end and its directory is gone;
    until then they listened on loopback only.
    """
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().decode().strip())  # nothing of Ray's is printed before it
        assert directory.is_dir()
        descendants = psutil.Process(owner.pid).children(recursive=True)
        assert len(descendants) > 2
        listening = {
            connection.laddr.ip.removeprefix("::ffff:")
            for process in descendants
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
        owner.kill()
        assert psutil.wait_procs(descendants, timeout=30)[1] == []
        assert not directory.exists()


def test_a_terminal_that_closes_leaves_nothing_either() -> None:
    """Ctrl-C and the hang-up go to all of the terminal's processes: what ends Ray's remains lives, and does so."""
    command = [sys.executable, "-c", WATCHED]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().decode().strip())
        assert directory.is_dir()
        for number in (signal.SIGINT, signal.SIGHUP):
            os.killpg(owner.pid, number)
    end = time.monotonic() + 30
    while directory.exists():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_node_that_still_looks_for_its_cluster_ends_with_its_owner() -> None:
    """Nothing answers at the address; Ray's program would go on trying for minutes, deaf to SIGTERM."""
    with socket.socket() as closed:
        closed.bind(("", 0))  # and does not listen: whoever asks is refused
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        joins = f"from workers.ray_session import RaySession; RaySession({address!r})"
        with subprocess.Popen([sys.executable, "-c", joins], cwd=REPOSITORY) as owner:
            node = _node_of(psutil.Process(owner.pid))
            owner.kill()
            assert psutil.wait_procs([node], timeout=30)[1] == []


def _node_of(owner: psutil.Process) -> psutil.Process:
    """The program of the node that it starts, as soon as it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in owner.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "--block" in process.cmdline():
                    return process
        time.sleep(0.05)
    raise AssertionError("no node was started")


def test_an_agent_that_came_late_and_took_its_title_is_ended(tmp_path: Path) -> None:
    """Its command names the directory no more, and no list has it: it is known by the log that it writes."""
    directory = tmp_path / "ray"
    directory.mkdir()
    with (directory / "agent.log").open("wb") as log:
        agent = subprocess.Popen(["ray::DashboardAgent", "60"], executable=shutil.which("sleep"), stdout=log)
        other = subprocess.Popen(["sleep", "60"], stdout=log)  # not one of Ray's
    try:
        ray_reaper.main(-1, str(directory))
        assert agent.wait(30) == -signal.SIGKILL
        assert other.poll() is None
        assert not directory.exists()
    finally:
        for process in (agent, other):
            process.kill()
            process.wait()


@pytest.mark.parametrize("own", [{"NodeID": "mine", "Alive": False}, {"NodeID": "another", "Alive": True}])
def test_a_process_learns_that_its_own_node_is_dead(own: dict[str, object]) -> None:
    """Where Ray has not ended it: it would wait for devices for ever, and its supervisor would see it alive."""
    session = RaySession.__new__(RaySession)
    session._own = "mine"
    session.ray = SimpleNamespace(nodes=lambda: [{"NodeID": "other", "Alive": True}, own])
    with pytest.raises(OwnNodeLostError, match="started again"):
        session.nodes()


def test_a_local_ray_that_does_not_come_up_is_told_in_a_sentence(tmp_path: Path) -> None:
    """Ray raises a bare exception then, which no command line would catch."""

    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    session = RaySession.__new__(RaySession)
    session.directory = tmp_path
    session.ray = SimpleNamespace(init=init)
    with pytest.raises(RuntimeError, match=r"could not be started.*timed out during startup"):
        session._start_local(None)


def test_a_node_trains_on_its_gpus_or_else_on_its_cores() -> None:
    """Each living node offers its GPUs if it has some, else its cores; the head and a runner's own node nothing."""
    resources = {
        "two gpus": {"GPU": 2.0, "CPU": 16.0},
        "cores": {"CPU": 4.0, "memory": 1e9},
        "head": {"node:__internal_head__": 1.0},
        "gone": {"GPU": 8.0},
    }
    nodes = [{"NodeID": name, "Alive": name != "gone", "Resources": has} for name, has in resources.items()]
    assert devices_of(nodes) == {"two gpus": ("cuda", 2), "cores": ("cpu", 4), "head": ("cpu", 0)}


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_is_left_of_a_ray_whose_owner_is_killed_while_it_starts(tmp_path: Path) -> None:
    """kill -9 when Ray has made its folders but no trainer answers yet: processes and folder go all the same."""
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, env=environment) as owner:
        pattern = f"vi3nr-{owner.pid}-*"
        wait_for(lambda: list(Path("/tmp").glob(f"{pattern}/session_*/sockets")))
        (directory,) = Path("/tmp").glob(pattern)
        owner.kill()
    wait_for(lambda: not directory.exists())
    using = [p for p in psutil.process_iter(["cmdline"]) if str(directory) in " ".join(p.info["cmdline"] or [])]
    assert psutil.wait_procs(using, timeout=30)[1] == []
