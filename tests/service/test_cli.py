"""The command line answers at once, in JSON or text, and refuses in a sentence."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

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
        (["search", "nowhere.png", "--activation", "gaussian"], ["nowhere.png"]),
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


def test_the_shell_completes_families():
    """``vi3nr init --activation gau<TAB>`` gives gaussian."""
    env = {"_VI3NR_COMPLETE": "complete_bash", "COMP_WORDS": "vi3nr init --activation gau", "COMP_CWORD": "3"}
    done = CliRunner().invoke(app, [], env=env, prog_name="vi3nr")
    assert done.stdout.split() == ["gaussian"], done.output


def test_search_without_a_server_finds_and_saves(tmp_path):
    """``vi3nr search`` of a small picture prints the result as JSON and saves a config that loads."""
    from skimage import data, io

    io.imsave(tmp_path / "photo.png", data.chelsea()[::12, ::16], check_contrast=False)
    words = (
        f"search {tmp_path}/photo.png --activation gaussian --steps 30 --trials 5 --width 8 --layers 1 --finalists 1 "
        f"--seeds 2 --json --output {tmp_path}/out --data-dir {tmp_path}/data"
    )
    command = [sys.executable, "-m", "service", *words.split()]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=200, env=os.environ)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["families"][0]["trials"] == 5
    config = InitConfig.from_json((tmp_path / "out" / "best-gaussian.json").read_text())
    assert config.sigma_a == result["families"][0]["winner"]["sigma_a"]
