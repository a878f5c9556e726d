"""The fast kernels of the CPU executor against the families' own definitions."""

from __future__ import annotations

import math

import numpy as np
import psutil
import pytest
import torch

from vi3nr.activations import activation, families, family_of
from vi3nr.baselines import baseline_config
from vi3nr.config import InitConfig
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.ensemble.kernels import FusedKernel, GenericKernel, Kernel, Plane, kernel_for
from vi3nr.ensemble.reference import ReferenceEnsemble
from vi3nr.ensemble.slots import parameter_count
from vi3nr.ensemble.tiles import TiledNetwork, tile_slices
from vi3nr.signals import Signal

UGLY = [0.0, -0.0, 1e-30, 1e-8, -1e-4, 0.03, 0.4999, 0.5, -0.5001, 1.0, -3.0, 9.0, -13.5, 40.0, 300.0, -5e4]


def run(kernel: Kernel, z: np.ndarray, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The activation and its derivative with respect to z, by a kernel."""
    plane = Plane.of(torch.tensor(z).to(dtype).repeat(3, 1))  # three points
    a = Plane.of(torch.full_like(plane.tensor, math.nan))
    with np.errstate(all="ignore"):
        kernel.forward(plane, np.zeros_like(plane.array[0]), a)
    return a.array[-1].astype(np.float64), plane.array[-1].astype(np.float64)


REAL = [family for family, cls in families().items() if not cls.complex]
FUSED = [(FusedKernel, family, torch.float32) for family in REAL]
GENERIC = [
    (GenericKernel, family, dtype)
    for family in [*REAL, "sin(3*x) / (1 + x**2)"]
    for dtype in (torch.float32, torch.float64)
]


@pytest.mark.parametrize(("make", "family", "dtype"), [*FUSED, *GENERIC])
def test_a_kernel_is_its_family(make: type[Kernel], family: str, dtype: torch.dtype) -> None:
    """Value and derivative agree with float64 at ordinary and ugly arguments, in units of 1 / sigma_a."""
    tolerance = 4e-6 if dtype is torch.float32 else 1e-14
    sigma_a = 0.25 if family_of(family).has_scale else 1.0
    reference = activation(family, sigma_a)
    z = np.array(UGLY + list(np.linspace(-6, 6, 401))) * sigma_a
    value, slope = run(make(reference), z, dtype)
    exact = torch.tensor(z).to(dtype).double().numpy()
    size = np.maximum(1.0, np.abs(exact) / sigma_a)  # u is rounded once more where the scale is folded in
    if family == "finer":
        size = size * (1.0 + np.abs(exact)) ** 2  # of the phase, and of the factor before the cosine
    with np.errstate(all="ignore"):
        expected = reference.value(exact, np), reference.derivative(exact, np) * sigma_a
    assert np.all(np.abs(value - expected[0]) <= tolerance * size)
    assert np.all(np.abs(slope * sigma_a - expected[1]) <= tolerance * size)


@pytest.mark.parametrize("make", [FusedKernel, GenericKernel])
@pytest.mark.parametrize(("points", "units"), [(1, 1), (7, 5), (300, 32), (3, 5000)])
def test_every_unit_gets_its_own_bias(make: type[Kernel], points: int, units: int) -> None:
    """f(z + bias), for tiles of less and of more than one block."""
    rng = np.random.default_rng(0)
    z, bias = rng.normal(size=(points, units)).astype(np.float32), rng.normal(size=units).astype(np.float32)
    reference = activation("gaussian", 0.7)
    plane, a = Plane.of(torch.tensor(z)), Plane.of(torch.empty(points, units))
    make(reference).forward(plane, bias, a)
    np.testing.assert_allclose(a.array, reference.value(z + bias, np), rtol=0, atol=1e-6)
    np.testing.assert_allclose(plane.array, reference.derivative(z + bias, np), rtol=0, atol=2e-6)


@pytest.mark.parametrize("family", ["tanh", "sigmoid", "silu", "gelu", "sine", "sinc"])
def test_small_and_moderate_values_keep_their_digits(family: str) -> None:
    """The compiled loops are as exact as float32: within 4e-7 of the value and the slope, and tanh relatively so."""
    reference = activation(family, 1.0)
    z = np.linspace(-4, 4, 4001).astype(np.float32).astype(np.float64)
    value, slope = run(FusedKernel(reference), z, torch.float32)
    np.testing.assert_allclose(value, reference.value(z, np), rtol=4e-7 if family == "tanh" else 0, atol=4e-7)
    np.testing.assert_allclose(slope, reference.derivative(z, np), rtol=0, atol=8e-7)


@pytest.mark.parametrize(("parameters"), [{"b": 3.0}, {"omega": 7.0}, {"negative_slope": 0.2}])
def test_a_kernel_knows_the_further_parameters(parameters: dict[str, float]) -> None:
    """A family's own parameter reaches its compiled loop."""
    z = np.linspace(-0.4, 0.4, 101)
    taking = [family for family in REAL if set(parameters) == set(family_of(family).parameter_names())]
    assert taking
    for family in taking:
        scale = {} if not family_of(family).has_scale else {"sigma_a": 0.25}
        reference = activation(family, **scale, **parameters)
        value, slope = run(FusedKernel(reference), z, torch.float32)
        np.testing.assert_allclose(value, reference.value(z, np), rtol=0, atol=2e-6)
        np.testing.assert_allclose(slope, reference.derivative(z, np), rtol=2e-6, atol=1e-5)


def test_formulas_and_float64_get_the_generic_kernel() -> None:
    """``kernel_for`` compiles built-in families in float32 and falls back to value and derivative for all else."""
    tanh = baseline_config("xavier", activation("tanh", 0.5), (2, 4, 1))
    formula = baseline_config("xavier", activation("tanh(x)", 0.5), (2, 4, 1))
    assert type(kernel_for(tanh, torch.float32)) is FusedKernel
    assert type(kernel_for(tanh, torch.float64)) is GenericKernel
    assert type(kernel_for(formula, torch.float32)) is GenericKernel


@pytest.mark.parametrize("family", REAL)
def test_not_a_number_is_never_hidden(family: str) -> None:
    """A NaN that goes in comes out, so that divergence shows."""
    value, _ = run(FusedKernel(activation(family, 1.0)), np.array([math.nan, 1.0] * 16), torch.float32)
    assert np.isnan(value[::2]).all()
    assert np.isfinite(value[1::2]).all()


def test_a_sine_of_huge_arguments_keeps_what_float32_keeps_of_the_angle() -> None:
    """Within a unit in the angle's last place up to 6e6, and bounded beyond, where a float32 angle means nothing."""
    z = np.concatenate([np.geomspace(1.0, 6e6, 3001), -np.geomspace(1.0, 6e6, 3001)]).astype(np.float32)
    value, slope = run(FusedKernel(activation("sine", 1.0)), z, torch.float32)
    allowed = 1e-6 + np.spacing(np.abs(z)).astype(np.float64)
    assert np.all(np.abs(value - np.sin(z.astype(np.float64))) <= allowed)
    assert np.all(np.abs(slope - np.cos(z.astype(np.float64))) <= allowed)
    value, slope = run(FusedKernel(activation("sine", 1.0)), np.geomspace(1e7, 3e38, 999), torch.float32)
    assert np.abs(value).max() <= 1.0 + 1e-6
    assert np.abs(slope).max() <= 1.0 + 1e-6


def test_a_sine_with_huge_weights_trains_as_the_reference_does() -> None:
    """With omega 3e5 every argument is beyond the fast range; float64 still follows the reference."""
    rng = np.random.default_rng(0)
    signal = Signal(rng.uniform(-1, 1, (90, 1)).astype("f"), rng.uniform(-1, 1, (90, 1)).astype("f"), "sound", (90,))
    config = baseline_config("pytorch_default", activation("sine", 1.0 / 3e5), (1, 8, 1))
    scores = []
    for make in (CpuEnsemble, ReferenceEnsemble):
        ensemble = make(signal, widths=(1, 8, 1), family="sine", recipe=Recipe(5), capacity=1, dtype=torch.float64)
        ensemble.admit(Member("a", config, 0, 1e-6, 5))
        scores.append(ensemble.advance(5)[0].score)
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.parametrize(("points", "rows"), [(1, 8), (8, 8), (9, 8), (1000, 256), (4097, 2048)])
def test_tiles_cover_all_points_once(points: int, rows: int) -> None:
    """No tile is larger than asked for, and they differ in size by less than their number."""
    tiles = tile_slices(points, rows)
    assert [index for tile in tiles for index in range(points)[tile]] == list(range(points))
    sizes = [tile.stop - tile.start for tile in tiles]
    assert max(sizes) <= rows
    assert max(sizes) - min(sizes) < len(tiles)


def test_tiles_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training in many tiles, the last one shorter, gives what one tile gives."""
    rng = np.random.default_rng(1)
    signal = Signal(
        rng.uniform(-1, 1, (1500, 2)).astype("f"), rng.uniform(-1, 1, (1500, 1)).astype("f"), "image", (1500,)
    )
    config = baseline_config("xavier", activation("gaussian", 0.3), (2, 9, 9, 1))
    states = []
    for rows in ((64, 64), (4096, 4096)):
        monkeypatch.setattr("vi3nr.ensemble.cpu.TILE_ROWS", rows)
        ensemble = CpuEnsemble(
            signal, widths=(2, 9, 9, 1), family="gaussian", recipe=Recipe(20), capacity=1, dtype=torch.float64
        )
        ensemble.admit(Member("a", config, 0, 1e-3, 20))
        states.append(ensemble.advance(20)[0].state.parameters)
    np.testing.assert_allclose(states[0], states[1], rtol=0, atol=1e-11)


def a_setting(width: int, points: int, family: str = "gaussian") -> tuple[Signal, InitConfig]:
    x, y = (np.random.default_rng(0).uniform(-1, 1, (points, axes)).astype(np.float32) for axes in (2, 3))
    return Signal(x, y, "image", (points,)), baseline_config("xavier", activation(family, 0.3), (2, width, width, 3))


def test_a_report_is_the_first_half_of_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps in ten segments go forward eleven times: once a step, and once more for the last report."""
    signal, config = a_setting(8, 100)
    passes = []
    predict = TiledNetwork.predict
    monkeypatch.setattr(TiledNetwork, "predict", lambda *args: (passes.append(1), predict(*args))[1])
    ensemble = CpuEnsemble(signal, widths=config.widths, family="gaussian", recipe=Recipe(10), capacity=1)
    ensemble.admit(Member("a", config, 0, 1e-3, 10))
    for _ in range(10):
        ensemble.advance(1)
    assert ensemble.free_slots == 1
    assert len(passes) == 11


def test_memory_does_not_grow_with_the_number_of_members() -> None:
    """A hundred members of 400 KB each, one after the other in two slots, leave less than ten of them behind."""
    signal, config = a_setting(180, 300)
    ensemble = CpuEnsemble(signal, widths=config.widths, family="gaussian", recipe=Recipe(2), capacity=2)

    def train(names: range) -> int:
        for name in names:
            ensemble.admit(Member(f"{name}", config, name, 1e-3, 2))
            if not ensemble.free_slots:
                ensemble.advance(1)
                ensemble.advance(1)
        return psutil.Process().memory_full_info().uss

    before = train(range(20))
    size = 3 * 4 * parameter_count(config.widths)
    assert train(range(20, 120)) - before < 10 * size
