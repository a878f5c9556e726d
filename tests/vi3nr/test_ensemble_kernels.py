"""The fast kernels of the CPU executor against the families' own definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vi3nr.activations import activation, families, family_of
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Recipe
from vi3nr.ensemble.kernels import KERNELS, GenericKernel, Kernel, Plane, kernel_for
from vi3nr.ensemble.reference import ReferenceEnsemble
from vi3nr.ensemble.tiles import tile_slices
from vi3nr.signals import Signal

UGLY = [0.0, -0.0, 1e-30, 1e-8, -1e-4, 0.03, 0.4999, 0.5, -0.5001, 1.0, -3.0, 9.0, -13.5, 40.0, 300.0, -5e4]


def run(kernel: Kernel, z: np.ndarray, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The activation and its derivative with respect to z, by a kernel."""
    u = Plane.of(torch.tensor(z).to(dtype).mul_(kernel.scale).reshape(1, -1))
    a = Plane.of(torch.full_like(u.tensor, math.nan))
    g = torch.ones_like(u.tensor)
    with np.errstate(all="ignore"):
        kernel.forward(u, a)
        value = a.array.copy()
        kernel.backward(g, u, a)
    return value[0].astype(np.float64), kernel.slope * g.numpy()[0].astype(np.float64)


FAST = [(family, False) for family in KERNELS]
GENERIC = [(family, True) for family, cls in families().items() if not cls.complex]


@pytest.mark.parametrize(("family", "generic"), [*FAST, *GENERIC, ("sin(3*x) / (1 + x**2)", True)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 4e-6), (torch.float64, 1e-14)])
def test_a_kernel_is_its_family(family: str, dtype: torch.dtype, tolerance: float, generic: bool) -> None:
    """Value and derivative agree with float64 at ordinary and ugly arguments, in units of 1 / sigma_a."""
    sigma_a = 0.25 if family_of(family).has_scale else 1.0
    reference = activation(family, sigma_a)
    kernel = GenericKernel(reference) if generic else KERNELS[family](sigma_a)
    z = np.array(UGLY + list(np.linspace(-6, 6, 401))) * sigma_a
    value, slope = run(kernel, z, dtype)
    exact = torch.tensor(z).to(dtype).double().numpy()
    size = np.maximum(1.0, np.abs(exact) / sigma_a)  # u is rounded once more where the scale is folded in
    if family == "finer":
        size = size * (1.0 + np.abs(exact)) ** 2  # of the phase, and of the factor before the cosine
    with np.errstate(all="ignore"):
        expected = reference.value(exact, np), reference.derivative(exact, np) * sigma_a
    assert np.all(np.abs(value - expected[0]) <= tolerance * size)
    assert np.all(np.abs(slope * sigma_a - expected[1]) <= tolerance * size)


def test_a_family_without_a_kernel_gets_the_generic_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """``kernel_for`` falls back to the family's own value and derivative."""
    config = baseline_config("xavier", activation("tanh", 0.5), (2, 4, 1))
    assert type(kernel_for(config)) is KERNELS["tanh"]
    monkeypatch.delitem(KERNELS, "tanh")
    assert type(kernel_for(config)) is GenericKernel


@pytest.mark.parametrize("family", KERNELS)
def test_not_a_number_is_never_hidden(family: str) -> None:
    """A NaN that goes in comes out, so that divergence shows."""
    value, _ = run(KERNELS[family](1.0), np.array([math.nan, 1.0]), torch.float32)
    assert math.isnan(value[0])
    assert not math.isnan(value[1])


def test_a_sine_of_huge_arguments_is_reduced_first() -> None:
    """``tame`` leaves sin and cos as they are, to what float32 keeps of the angle, and brings |u| below pi."""
    kernel = KERNELS["sine"](1.0)
    z = np.array([1e5, -3e6, 12345.678, 2.0])
    u = Plane.of(torch.tensor(z, dtype=torch.float32).reshape(1, -1))
    exact = np.sin(u.array.astype(np.float64))
    kernel.tame(u)
    assert float(u.tensor.abs().max()) <= math.pi + 1e-6
    np.testing.assert_allclose(np.sin(u.array.astype(np.float64)), exact, atol=1e-6)


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
