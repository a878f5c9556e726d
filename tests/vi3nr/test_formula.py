"""Formulas: what can be read means what it says; anything else is a sentence that points at the place."""

import copy
import math
import pickle
import random
import time

import numpy as np
import pytest
import torch

from vi3nr.activations import activation, family_of
from vi3nr.config import InitConfig
from vi3nr.ensemble.cpu import CpuEnsemble, one_thread
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.formula_parser import FUNCTIONS, MOST_CHARACTERS, MOST_NESTING, MOST_OPERATIONS
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config
from vi3nr.signals import Signal
from vi3nr.theory import stable_sigma_p

X = np.array([-2.3, -0.7, -0.01, 0.0, 0.2, 1.1, 3.9])
TRUE = [  # formula, parameters, the same in Python
    ("exp(-x**2/(2*a**2)) * cos(30*x)", {"a": 0.5}, lambda x: math.exp(-(x**2) / (2 * 0.5**2)) * math.cos(30 * x)),
    ("-x**2", {}, lambda x: -(x**2)),
    ("2**-x**2", {}, lambda x: 2 ** -(x**2)),
    ("x^3 - 2*x^2 + 1e-1*x - .5", {}, lambda x: x**3 - 2 * x**2 + 0.1 * x - 0.5),
    ("x - 1 - 2 - b", {"b": -3.5}, lambda x: x - 1 - 2 + 3.5),
    ("8 / 4 / (2 + x*x)", {}, lambda x: 8 / 4 / (2 + x * x)),
    ("2**3**2 * x / 512", {}, lambda x: x),
    ("+-+x*--2", {}, lambda x: -2 * x),
    (" ( sin( pi * x ) ) + 0 ", {}, lambda x: math.sin(math.pi * x)),
    (
        "sinc(3*x) + sqrt(1 + x*x) + abs(x)*x",
        {},
        lambda x: math.sin(3 * x) / (3 * x) + math.hypot(1, x) + abs(x) * x if x else 2.0,
    ),
    (
        "tanh(x) + sigmoid(x) + erf(x) + atan(x)",
        {},
        lambda x: math.tanh(x) + 1 / (1 + math.exp(-x)) + math.erf(x) + math.atan(x),
    ),
    ("log(1 + exp(x)) - softplus(x) + relu(x)", {}, lambda x: max(x, 0.0)),
    ("sinh(x) / cosh(x) + tan(x/9) + sign(a)*x", {"a": -2.0}, lambda x: math.tanh(x) + math.tan(x / 9) - x),
]


@pytest.mark.parametrize(("text", "parameters", "true"), TRUE)
def test_a_formula_means_what_python_means_by_it(text: str, parameters: dict, true) -> None:
    """Values, precedence and associativity are Python's, in NumPy and in torch, stretched by sigma_a."""
    for sigma_a in (1.0, 0.3):
        phi = activation(text, sigma_a, **parameters)
        expected = [true(float(x) / sigma_a) for x in X]
        np.testing.assert_allclose(phi.value(X, np), expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(phi.value(torch.tensor(X), torch).numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("text", "parameters", "true"), TRUE)
def test_its_derivative_is_autograds(text: str, parameters: dict, true) -> None:
    """The chain rule over the tree gives what backpropagation through the value gives, kinks included."""
    phi = activation(text, 0.7, **parameters)
    x = torch.tensor(X, requires_grad=True)
    (expected,) = torch.autograd.grad(phi.value(x, torch).sum(), x)
    torch.testing.assert_close(phi.derivative(x.detach(), torch), expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(phi.derivative(X, np), expected, rtol=1e-11, atol=1e-11)
    assert phi.value(X.astype(np.float32), np).dtype == np.float32
    assert phi.derivative(x.detach().float(), torch).dtype == torch.float32


def test_a_known_family_as_a_formula_has_its_theory() -> None:
    """The Gaussian, WIRE's real part, tanh and the quadratic by formula: the same stable sigma_p to 1e-8, and kind."""
    same = [
        ("exp(-x**2/2)", {}, activation("gaussian", 0.05)),
        ("cos(w*x) * exp(-x**2/2)", {"w": 1.0}, activation("gabor", 0.05, omega=20.0)),
        ("tanh(x)", {}, activation("tanh", 0.05)),
        ("1/(1 + x**2)", {}, activation("quadratic", 0.05)),
        ("relu(x)", {}, activation("relu")),
        ("x*sigmoid(x)", {}, activation("silu", 0.05)),
    ]
    for text, parameters, family in same:
        ours, theirs = stable_sigma_p(activation(text, family.sigma_a, **parameters)), stable_sigma_p(family)
        assert ours.kind == theirs.kind
        assert ours.sigma_p == (None if theirs.sigma_p is None else pytest.approx(theirs.sigma_p, rel=1e-8))


REFUSED = [  # text, column, words of the sentence
    ("x.__class__ + 1", 2, "'.' is no part of a formula"),
    ("x + ().__class__.__bases__[0]", 6, "not expected here"),
    ("__import__('os').system('true') + x", 1, "'__import__' is no function"),
    ("eval(x) + 1", 1, "'eval' is no function; there are abs, atan"),
    ("exp(x)(2)", 7, "not expected here"),
    ("lambda * x", 1, "'lambda' cannot be the name"),
    ("_a * x", 1, "'_a' cannot be the name"),
    ("x + sigma_a", 5, "horizontal scale"),
    ("x * exp", 5, "write exp(...)"),
    ("(x + 1", 7, "bracket of column 1 is not closed"),
    ("x + 1)", 6, "')' is not expected"),
    ("x +", 4, "ends too early"),
    ("x x *", 3, "'x' is not expected"),
    ("2 3 * x", 3, "'3' is not expected"),
    ("exp(x, x)", 6, "',' is no part"),
    ("1e999 * x", 1, "too large"),
    ("π * x", 1, "is no part"),
    ("x\u2212 1*x", 2, "is no part"),
    ("x\n+ 1", 2, "is no part"),
    ("x + \uff11*x", 5, "is no part"),
    ("x ** 1000", 3, "exponents reach up to 64, got 1000"),
    ("9**9**9**9 * x", 5, "is not a finite number"),
    ("1/0 * x", 2, "is not a finite number"),
    ("x ** x", 3, "does not depend on x"),
    ("(-2) ** x", 6, "needs a positive base"),
    ("(" * 100 + "x" + ")" * 100, MOST_NESTING + 2, "nested more than"),
    ("-" * 200 + "x", MOST_NESTING + 2, "nested more than"),
    ("x" + "**1" * 90, None, "nested more than"),
    ("x" + "+x" * 149 + "+", 301, "ends too early"),
    ("a+b+c+d+e+f+g+h+i+x", 17, "at most 8 parameters"),
    ("x*" + "y" * 60, 3, "cannot be the name"),
]


@pytest.mark.parametrize(("text", "column", "words"), REFUSED)
def test_what_is_refused_is_told_with_its_place(text: str, column: int | None, words: str) -> None:
    """Attribute access, calls, huge powers, deep nesting, foreign characters: a ValueError with the column."""
    with pytest.raises(ValueError, match=r"^the formula ") as caught:
        activation(text)
    assert words in str(caught.value)
    assert column is None or f"at column {column}:" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parameters", "words"),
    [
        ("x" + " + x" * 100, {}, f"at most {MOST_CHARACTERS} characters, got 401"),
        ("exp(pi) * 2 + 0*4", {}, "unknown|does not depend on x"),
        ("sin(x)/x", {}, "not a finite number at x = 0; write sinc"),
        ("log(x)", {}, "not a finite number at x = 0"),
        ("sqrt(abs(x))", {}, "not a finite number at x = 0"),
        ("1/(x - 1)", {}, "not a finite number at x = 1"),
        ("a*x", {}, "needs a value for its parameter 'a'"),
        ("a*x", {"a": math.nan}, "a of the formula 'a\\*x' must be a finite number, got nan"),
        ("a*x", {"a": 1.0, "b": 1.0}, "has no parameter 'b'"),
        ("sin(30*t)", {}, "unknown; choose one of gaussian, .*, or write a formula of x"),
    ],
)
def test_what_cannot_be_used_is_told(text: str, parameters: dict, words: str) -> None:
    """Length, poles near 0, missing and surplus parameters, and a formula of nothing."""
    with pytest.raises(ValueError, match=words):
        activation(text, **parameters)


PIECES = [*FUNCTIONS, *"xxxx+-*/^()()0123456789.,;:[]{}'\"_ab =<>!@#$%&|~`\\", "**", "pi", " ", "e9", "é", "\x00"]
PIECES += ["__", "import", "lambda", "x.", "9**9", "((", "))", "exp(", "-x", "*x", "+1", "\u202e", "𝑥"]


def random_formula(generator: random.Random, depth: int) -> str:
    """A formula by the grammar."""
    if depth == 0:
        return generator.choice(["x", "x", "a", "pi", "2", ".5", "1e3"])
    inner = random_formula(generator, depth - 1)
    kind = generator.randrange(4)
    if kind == 0:
        return f"{generator.choice(FUNCTIONS)}({inner})"
    if kind == 1:
        return f"-({inner})"
    sign = generator.choice(["+", "-", "*", "/", "**", "^"])
    return f"({inner}) {sign} ({random_formula(generator, generator.randrange(depth))})"


def test_ten_thousand_random_strings_end_soon_in_a_formula_or_a_sentence() -> None:
    """Noise, and formulas with one character changed: an activation or a ValueError, nothing else, in bounded work."""
    generator = random.Random(0)
    begin, read = time.process_time(), 0
    for turn in range(10_000):
        text = "x" * generator.randrange(2) + "".join(generator.choices(PIECES, k=generator.randrange(1, 40)))
        if turn % 2:
            text = random_formula(generator, generator.randrange(1, 6))
            place = generator.randrange(len(text))
            text = text[:place] + generator.choice([text[place], generator.choice(PIECES)]) + text[place + 1 :]
        try:
            phi = activation(text, a=1.5) if "a" in family_of(text).parameter_names() else activation(text)
        except ValueError:
            continue
        assert np.isfinite(phi.value(X[4:5], np)).all()
        read += 1
    assert read > 500
    assert time.process_time() - begin < 120.0


def test_the_worst_formulas_that_are_allowed_stay_cheap() -> None:
    """As long, as deep and as many operations as may be: the value and derivative visit each operation once."""
    deep = "sin(" * (MOST_NESTING - 1) + "x" + ")" * (MOST_NESTING - 1)
    wide = "*".join(["x"] * 60)
    long = "+".join(["x"] * 140)
    assert max(map(len, (deep, wide, long))) <= MOST_CHARACTERS
    assert MOST_OPERATIONS >= 140
    u = np.linspace(-1, 1, 1000)
    for text in (deep, wide, long):
        begin = time.process_time()
        phi = activation(text)
        assert np.isfinite(phi.phi(u, np) + phi.slope(u, np)).all()
        assert time.process_time() - begin < 5.0


def test_a_formula_travels_by_its_text() -> None:
    """Config, JSON, network, pickle, copy and training by the CPU executor: the family is the text everywhere."""
    text = "exp(-x**2/(2*a**2)) * cos(3*x)"
    phi = activation(text, 0.2, a=0.8)
    config = vi3nr_config(phi, (2, 8, 8, 1), sigma_p=0.2)
    assert (config.family, config.sigma_a, config.parameters) == (text, 0.2, {"a": 0.8})
    assert InitConfig.from_json(config.to_json()) == config
    assert INR.from_config(config, seed=1)(torch.zeros(5, 2)).shape == (5, 1)
    for twin in (pickle.loads(pickle.dumps(phi)), copy.deepcopy(phi), activation(text, 0.2, a=0.8)):
        assert twin == phi
        assert hash(twin) == hash(phi)
    assert phi != activation(text, 0.2, a=0.9)
    assert repr(phi) == f"activation({text!r}, 0.2, a=0.8)"
    assert family_of(text).parameter_names() == ("a",)
    grid = np.linspace(-1, 1, 40, dtype=np.float32)
    signal = Signal(np.stack([grid, grid[::-1]], axis=1), np.sin(3 * grid)[:, None], "image", (40,))
    ensemble = CpuEnsemble(signal, widths=(2, 8, 8, 1), family=text, recipe=Recipe(30), capacity=1)
    ensemble.admit(Member("a", config, 0, 1e-2, 30))
    with one_thread():
        first, last = ensemble.advance(1)[0].score, ensemble.advance(29)[0].score
    assert last > first + 1.0
