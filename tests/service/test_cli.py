"""The command line answers at once, in JSON or text, and refuses in a sentence."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service import demo, embedded
from service.commands import app
from vi3nr.config import InitConfig

HERE = Path(__file__).parents[2]


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_init_prints_a_config_as_json():
    """The paper's Gaussian example (sigma_a 0.05, sigma_p 0.33) has Var W of about 1.02 / M in the hidden layers."""
    words = "init --activation gaussian --sigma-a 0.05 --sigma-p 0.33 --width 256 --layers 3 --json"
    done = run(*words.split())
    assert done.exit_code == 0, done.output
    config = InitConfig.from_json(done.stdout)
    assert config.widths == (2, 256, 256, 256, 256, 3)
    assert config.layers[1].weight_std ** 2 * 256 == pytest.approx(1.02, abs=0.01)


def test_init_without_sigma_p_tells_the_kind_of_theory():
    """A sine has no stable sigma_p: the text says so, and sigma_p = sigma_a stands in."""
    done = run("init", "--activation", "sine", "--omega", "30", "--width", "64")
    assert done.exit_code == 0, done.output
    assert "limit_at_0" in done.stdout
    assert f"{1 / 30:.4g}" in done.stdout


def test_a_share_is_a_number():
    """--bias-first 0.6 gives the first layer's biases 60 % of its variance."""
    done = run("init", "--activation", "gaussian", "--bias-first", "0.6", "--sigma-p", "0.1", "--json")
    first = InitConfig.from_json(done.stdout).layers[0]
    assert first.bias_std == pytest.approx(0.1 * math.sqrt(0.6))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["init", "--activation", "swish"], ["swish", "gaussian"]),
        (["init", "--activation", "gaussian", "--sigma-a", "-1"], ["sigma_a", "-1"]),
        (["init", "--activation", "gaussian", "--omega", "30"], ["omega", "gaussian"]),
        (["init", "--activation", "gaussian", "--bias", "lots"], ["bias", "lots"]),
        (["search", "nowhere.png", "--activation", "gaussian"], ["vi3nr: nowhere.png: No such file"]),
        (["serve", "--port", "99999"], ["--port", "65535"]),
        (["api", "--port", "99999"], ["--port", "65535"]),
        (["dashboard", "--port", "-1"], ["--port", "0"]),
        (["api", "--data-dir", "/dev/null/x"], ["vi3nr: /dev/null/x: Not a directory"]),
        (["runner", "--data-dir", "/dev/null/x"], ["vi3nr: /dev/null/x: Not a directory"]),
        (["report", "a1b2"], ["no database at", "vi3nr-data", "--data-dir"]),
        (["export", "a1b2"], ["no database at", "vi3nr-data", "--data-dir"]),
        (["key", "list"], ["no database at", "vi3nr db upgrade"]),
        (["search", "a.png", "--activation", "gaussian", "--max-points", "0"], ["--max-points", "4"]),
        (["theory", "--activation", "gaussian", "-p", "=3"], ["NAME=NUMBER", "=3"]),
    ],
)
def test_wrong_words_are_named(arguments, words, tmp_path, monkeypatch):
    """What is wrong is refused with exit status 2 and a sentence that names it; no traceback, no file left."""
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2
    for word in words:
        assert word in done.output
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["db", "status"], ["key", "list"], ["report", "a1"]])
def test_an_address_of_no_database_is_told_and_not_repeated(command, monkeypatch):
    """It may hold a password."""
    monkeypatch.setenv("VI3NR_DATABASE_URL", "postgres//me:topsecret@host")
    done = run(*command)
    assert done.exit_code == 2
    assert "database_url must begin with sqlite:///" in done.output
    assert "topsecret" not in done.output


def test_where_the_answer_cannot_be_written_is_told_before_the_search(tmp_path):
    """A report in a folder that is not there: nothing was trained, and no study was made."""
    (tmp_path / "a.png").write_bytes(b"")
    report = str(tmp_path / "nowhere" / "report.html")
    done = run(
        "search", str(tmp_path / "a.png"), "--activation", "gaussian", "--report", report, "--output", str(tmp_path),
        "--data-dir", str(tmp_path / "data"),
    )  # fmt: skip
    assert done.exit_code == 2
    assert f"{tmp_path / 'nowhere'}: No such file" in done.output.replace("\n", "")
    assert not (tmp_path / "data").exists()


def test_a_file_of_no_text_is_no_key(tmp_path):
    """``--key-file`` with another file is told by its name."""
    (tmp_path / "key.bin").write_bytes(b"\xea\xff")
    done = run("studies", "list", "--key-file", str(tmp_path / "key.bin"), "--url", "http://127.0.0.1:9")
    assert done.exit_code == 2
    assert "key.bin holds no API key" in done.output


def test_a_file_that_is_no_image_is_refused(tmp_path):
    """``vi3nr search notes.txt`` says that it is no image."""
    file = tmp_path / "notes.txt"
    file.write_text("not a picture")
    done = run("search", str(file), "--activation", "gaussian", "--data-dir", str(tmp_path / "data"))
    assert done.exit_code == 2
    assert "notes.txt" in done.output


def test_without_the_services_packages_it_says_what_to_install():
    """The console script of the plain install ends with the pip command to use."""
    code = "import sys; sys.modules['typer'] = None; from service.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install 'vi3nr[service]'" in done.stderr


def test_init_and_help_answer_at_once():
    """Neither loads what a service is made of: no torch, Ray, Optuna, SQLAlchemy, API or HTTP client."""
    heavy = ("torch", "ray", "optuna", "sqlalchemy", "httpx2", "numba", "PIL", "skimage", "trimesh", "service.app")
    code = (
        "import sys; from typer.testing import CliRunner; from service.commands import app;"
        "assert all(CliRunner().invoke(app, words).exit_code == 0 for words in (['--help'], sys.argv[2:]));"
        "print([name for name in sys.argv[1].split() if name in sys.modules])"
    )
    words = ["init", "--activation", "sine", "--omega", "30", "--width", "256", "--layers", "3"]
    command = [sys.executable, "-c", code, " ".join(heavy), *words]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_command_can_print_json():
    """But those that run until they are stopped and have nothing to say, and the demo."""
    from typer.main import get_command

    def leaves(command, path=()):
        inner = getattr(command, "commands", None)
        return [(path, command)] if inner is None else [x for n, c in inner.items() for x in leaves(c, (*path, n))]

    mute = {("api",), ("runner",), ("dashboard",), ("demo",)}
    without = {p for p, c in leaves(get_command(app)) if not any("--json" in option.opts for option in c.params)}
    assert without == mute
    assert "Exit status" in run("--help").output


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["text", "json"])
def test_ctrl_c_ends_serve_with_a_sentence(words, tmp_path, monkeypatch):
    """Where everything is, in words or as one line of JSON; then Ctrl-C: a sentence, and exit status 0."""

    class Running:
        url, dashboard_url = "http://127.0.0.1:1", "http://127.0.0.1:2"

        def __init__(self, *_):
            """Nothing is started."""

        def __enter__(self):
            return self

        def __exit__(self, *_):
            """Nothing is ended."""

        def log_dir(self):
            os.kill(os.getpid(), signal.SIGINT)
            return tmp_path / "logs"

    monkeypatch.setattr(embedded, "Embedded", Running)
    done = run("serve", "--data-dir", str(tmp_path), *words)
    assert done.exit_code == 0, done.output
    assert "gives its studies back" in (done.stderr if words else done.stdout)
    if words:
        told = {"url": Running.url, "dashboard": Running.dashboard_url, "data": str(tmp_path)}
        assert json.loads(done.stdout) == {**told, "logs": str(tmp_path / "logs")}
    else:
        assert "Ctrl-C stops it; studies go on at the next start." in done.stdout


def test_ctrl_c_ends_the_demo_with_a_sentence(monkeypatch):
    """Exit status 130, and what comes next."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(demo, "run_demo", lambda: os.kill(os.getpid(), signal.SIGINT))
    try:
        done = run("demo")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done.exit_code == 130
    assert "`vi3nr demo` begins anew" in done.stderr


def test_the_shell_completes_families():
    """``vi3nr init --activation gau<TAB>`` gives gaussian."""
    env = {"_VI3NR_COMPLETE": "complete_bash", "COMP_WORDS": "vi3nr init --activation gau", "COMP_CWORD": "3"}
    done = CliRunner().invoke(app, [], env=env, prog_name="vi3nr")
    assert done.stdout.split() == ["gaussian"], done.output


def test_search_without_a_server_finds_and_saves(tmp_path):
    """``vi3nr search`` of a small picture prints the result as JSON and saves a config that loads; the objective is the
    one that was asked for.
    """
    from skimage import data, io

    io.imsave(tmp_path / "photo.png", data.chelsea()[::12, ::16], check_contrast=False)
    words = (
        f"search {tmp_path}/photo.png --activation gaussian --steps 30 --trials 5 --width 8 --layers 1 --finalists 1 "
        f"--seeds 2 --objective held_out --json --output {tmp_path}/out --data-dir {tmp_path}/data"
    )
    command = [sys.executable, "-m", "service", *words.split()]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=200, env=os.environ)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["objective"] == "held_out"
    assert result["families"][0]["trials"] == 5
    config = InitConfig.from_json((tmp_path / "out" / "best-gaussian.json").read_text())
    assert config.sigma_a == result["families"][0]["winner"]["sigma_a"]
