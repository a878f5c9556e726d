"""What the service knows without training: families, and init configs."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.blobs import BlobStore
from service.database import make_engine
from service.settings import Settings
from service.store import Store
from vi3nr.activations import families
from vi3nr.config import InitConfig
from vi3nr.signals import Signal, image_signal
from workers.plan import BiasChoice, FamilyPlan
from workers.search_space import SearchSpace


def init(client: TestClient, **fields: object) -> InitConfig:
    answer = client.post("/v1/init", json=fields)
    assert answer.status_code == 200, answer.text
    return InitConfig.from_json(answer.text)


def test_every_family_is_listed_with_its_customs(client: TestClient) -> None:
    """All families of the library, with scale, range, learning rate and closed forms; sine by both names."""
    items = {item["family"]: item for item in client.get("/v1/activations").json()["items"]}
    assert list(items) == list(families())
    sine = items["sine"]
    assert sine["customary"][0] == {"sigma_a": pytest.approx(1 / 30), "omega": pytest.approx(30)}
    assert sine["default_range"]["omega"]["low"] == pytest.approx(1 / sine["default_range"]["sigma_a"]["high"])
    assert items["relu"]["default_range"] is None
    for item in items.values():
        assert item["formula"]
        assert item["label"]
        assert item["learning_rate"] > 0


def test_the_papers_gaussian(client: TestClient) -> None:
    """sigma_a 0.05 and sigma_p 0.33 give hidden weights of variance 1.02 / M (supplement, section 8)."""
    config = init(client, family="gaussian", sigma_a=0.05, sigma_p=0.33, network={"width": 256, "hidden_layers": 3})
    assert len(config.layers) == 5
    assert config.layers[1].weight_std ** 2 * 256 == pytest.approx(1.02, abs=0.01)
    assert config.layers[0].fan_in == 2
    assert config.layers[-1].fan_out == 3


def test_the_theorys_own_sigma_p(client: TestClient) -> None:
    """Without a sigma_p the Gaussian's is sigma_a sqrt(1 + sqrt 2), and the answer says that it is a root."""
    config = init(client, family="gaussian", sigma_a=0.1)
    assert config.sigma_p == pytest.approx(0.1 * math.sqrt(1 + math.sqrt(2)))
    assert config.stability is not None
    assert config.stability.kind == "root"


def test_without_a_root_sigma_p_is_sigma_a_with_the_stability_bias(client: TestClient) -> None:
    """Sine has none: the kind is told, and the hidden biases make room."""
    config = init(client, family="sine", omega=50)
    assert config.sigma_a == config.sigma_p == pytest.approx(1 / 50)
    assert config.stability is not None
    assert (config.stability.kind, config.bias.rule) == ("limit_at_0", "stability")


def test_what_is_asked_for_is_what_is_built(client: TestClient) -> None:
    """First layer, rules, dimensions, distribution and method all arrive."""
    config = init(
        client,
        family="tanh",
        sigma_p=0.8,
        sigma_p_first=2.0,
        in_dim=1,
        out_dim=4,
        bias="like_weights",
        bias_first={"rule": "share", "share": 0.6},
        distribution="normal",
        method="quadrature",
        network={"width": 32, "hidden_layers": 1},
    )
    assert [(layer.fan_in, layer.fan_out) for layer in config.layers] == [(1, 32), (32, 32), (32, 4)]
    assert (config.sigma_p, config.sigma_p_first, config.method) == (0.8, 2.0, "quadrature")
    assert config.layers[0].bias_std == pytest.approx(2.0 * math.sqrt(0.6))
    assert config.layers[1].bias_std == config.layers[1].weight_std
    assert config.layers[1].weight_bound is None


def test_a_rule_that_cannot_be_met_is_a_problem_with_the_librarys_sentence(client: TestClient) -> None:
    """422, and why."""
    answer = client.post("/v1/init", json={"family": "gaussian", "sigma_a": 0.5, "sigma_p": 0.01, "bias": "stability"})
    assert answer.status_code == 422
    assert "'stability' cannot be met" in answer.json()["detail"]


@pytest.mark.parametrize("family", list(families()))
@pytest.mark.parametrize("method", ["analytic", "quadrature", "monte_carlo"])
@pytest.mark.parametrize(("sigma_a", "sigma_p"), [(1e-6, 1e6), (1e6, 1e-6)])
def test_the_ends_of_the_allowed_ranges_are_answered(
    client: TestClient, family: str, method: str, sigma_a: float, sigma_p: float
) -> None:
    """A config or a 422 with a sentence, never a failure of the service."""
    scale = {"sigma_a": sigma_a} if families()[family].has_scale else {}
    answer = client.post("/v1/init", json={"family": family, "sigma_p": sigma_p, "method": method, **scale})
    assert answer.status_code in (200, 422), answer.text


FORMULA = "exp(-x**2/(2*a**2)) * cos(30*x)"


def test_families_are_shown_as_they_are(client: TestClient) -> None:
    """Parameters with defaults, other names of the scale, complex values, detached gradients and closed forms."""
    items = {item["family"]: item for item in client.get("/v1/activations").json()["items"]}
    assert items["wire"]["complex"]
    assert items["wire"]["parameters"] == [{"name": "omega", "default": 20.0}]
    assert items["gaussian"]["other_names"] == {"a": "a", "s": "0.707107 / s"}
    assert items["sinc"]["other_names"]["sinc_omega"] == "0.31831 / sinc_omega"
    assert [name for name, item in items.items() if item["gradient"] == "detached"] == ["finer"]
    assert items["hosc"]["closed_form"] == ["mean"]
    assert items["gelu"]["closed_form"] == ["mean", "second_moment", "slope_second_moment"]


def test_other_names_of_the_scale_are_converted(client: TestClient) -> None:
    """``s`` of exp(-(s x)^2) is sigma_a = 1 / (s sqrt 2); given with another scale it is refused."""
    config = init(client, family="gabor", parameters={"s": 10, "omega": 20.0})
    assert config.sigma_a == pytest.approx(0.1 / math.sqrt(2))
    assert config.parameters == {"omega": 20.0}
    answer = client.post("/v1/init", json={"family": "gaussian", "sigma_a": 0.1, "parameters": {"s": 3.0}})
    assert answer.status_code == 422
    assert "parameters.s" in answer.text


def test_a_formula_is_a_family(client: TestClient) -> None:
    """The config of a formula carries its text, scale and parameters, and the theory's own sigma_p."""
    config = init(client, family=FORMULA, sigma_a=2.0, parameters={"a": 0.05})
    assert (config.family, config.sigma_a, config.parameters) == (FORMULA, 2.0, {"a": 0.05})
    assert config.stability is not None
    assert config.sigma_p == pytest.approx(2.0 * 0.0367362, rel=1e-5)


@pytest.mark.parametrize(
    ("family", "parameters", "words"),
    [
        ("exp(x) + __import__('os')", {}, "at column 10: '__import__' is no function"),
        ("x.real * 2", {}, "at column 2"),
        (FORMULA, {}, "needs a value for its parameter 'a'"),
        ("sin(x)/x", {}, "not a finite number at x = 0"),
        ("x**9999", {}, "exponents reach up to 64"),
        ("x" + "+x" * 40, {}, "at most 64 characters"),
        ("super_gaussian", {"b": -1.0}, "b of super_gaussian must be positive"),
        ("sin(1/(x-0.123)) * x", {}, "did not reach its tolerance"),
        ("sign(x)", {}, "moments"),
    ],
)
def test_a_formula_that_will_not_do_is_a_problem_with_a_sentence(
    client: TestClient, family: str, parameters: dict[str, float], words: str
) -> None:
    """422 with the place or the reason, for /v1/init."""
    answer = client.post("/v1/init", json={"family": family, "parameters": parameters})
    assert answer.status_code == 422
    assert words in answer.text


@pytest.mark.parametrize("family", list(families()))
def test_a_dataset_gives_the_first_guess_of_its_search(
    client: TestClient, settings: Settings, dataset_id: str, family: str
) -> None:
    """Without training: ends and second moment are the dataset's, and the config is what a search tries first."""
    config = init(client, family=family, dataset_id=dataset_id, network={"width": 64, "hidden_layers": 3})
    engine = make_engine(settings.url)
    dataset = Store(engine).dataset(dataset_id)
    engine.dispose()
    assert dataset is not None
    signal = Signal.from_bytes(BlobStore(settings.blob_dir).get(dataset.blob_key))
    space = SearchSpace.for_family(FamilyPlan(family), signal)
    first = space.config(
        space.start(signal)[0], (2, 64, 64, 64, 64, 3), input_second_moment=signal.input_second_moment,
        method="analytic", seed=0,
    )  # fmt: skip
    for made, searched in zip(config.layers, first.layers, strict=True):
        assert (made.weight_std, made.bias_std) == pytest.approx((searched.weight_std, searched.bias_std))
    assert config.sigma_p_first == pytest.approx(first.sigma_p_first)
    assert config.bias_first == first.bias_first


@pytest.mark.parametrize("family", ["gaussian", "sine"])
@pytest.mark.parametrize(
    "bias_first", ["zero", "like_weights", {"rule": "share", "share": 0.1}, {"rule": "share", "share": 0.7}], ids=str
)
def test_the_guess_is_what_the_search_tries_first_with_biases_of_ones_own(
    client: TestClient, settings: Settings, dataset_id: str, family: str, bias_first: object
) -> None:
    """The first layer's bandwidth stays, whatever part of its variance the biases hold."""
    config = init(client, family=family, dataset_id=dataset_id, bias_first=bias_first)
    engine = make_engine(settings.url)
    dataset = Store(engine).dataset(dataset_id)
    engine.dispose()
    assert dataset is not None
    signal = Signal.from_bytes(BlobStore(settings.blob_dir).get(dataset.blob_key))
    choice = BiasChoice(bias_first) if isinstance(bias_first, str) else BiasChoice("share", bias_first["share"])
    space = SearchSpace.for_family(FamilyPlan(family, bias_first=choice), signal)
    first = space.to_point(space.start(signal)[0])
    assert config.sigma_p_first == pytest.approx(first.sigma_p_first)
    assert config.sigma_a == pytest.approx(first.sigma_a)


def test_the_guess_keeps_its_ratios_at_a_scale_of_ones_own(client: TestClient, dataset_id: str) -> None:
    """omega 30 instead of the guessed one: sigma_p and sigma_p_first move with it; what is given stands."""
    free = init(client, family="sine", dataset_id=dataset_id)
    own = init(client, family="sine", dataset_id=dataset_id, omega=30)
    named = init(client, family="gaussian", dataset_id=dataset_id, parameters={"a": 0.03})
    assert named.layers == init(client, family="gaussian", dataset_id=dataset_id, sigma_a=0.03).layers
    assert own.sigma_a == pytest.approx(1 / 30)
    assert own.sigma_p / own.sigma_a == pytest.approx(free.sigma_p / free.sigma_a)
    assert own.sigma_p_first / own.sigma_a == pytest.approx(free.sigma_p_first / free.sigma_a)
    assert init(client, family="sine", dataset_id=dataset_id, sigma_p=0.7).sigma_p == 0.7


def test_a_guess_for_no_dataset_or_with_its_ends_beside_it_is_refused(client: TestClient, dataset_id: str) -> None:
    """422, naming the field."""
    wrong = client.post("/v1/init", json={"family": "sine", "dataset_id": "0" * 12})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "dataset_id"
    both = client.post("/v1/init", json={"family": "sine", "dataset_id": dataset_id, "in_dim": 2})
    assert both.status_code == 422
    assert both.json()["errors"][0]["field"] == "in_dim"


def test_the_guess_takes_less_than_two_seconds_of_a_cpu(client: TestClient, settings: Settings) -> None:
    """For a picture of 128 x 128 and the largest usual network, in processor time."""
    signal = image_signal(np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8))
    engine = make_engine(settings.url)
    key = BlobStore(settings.blob_dir).put(signal.to_bytes())
    dataset = Store(engine).add_dataset(name="noise", content_hash="n", signal=signal, blob_key=key, meta={})
    engine.dispose()
    began = time.process_time()
    init(client, family="gaussian", dataset_id=dataset.id)
    assert time.process_time() - began < 2.0
