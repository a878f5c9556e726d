"""The guess follows the signal: its spectrum is measured right, and the start points carry it on."""

import gc
import math
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vi3nr import guess, spectrum
from vi3nr.activations import families
from vi3nr.guess import default_ranges, one_sigma_p_points, start_points
from vi3nr.signals import Signal, image_signal
from vi3nr.spectrum import energy_frequency, spectral_extent


def grating(cycles: float, side: int = 64) -> Signal:
    """A cosine of ``cycles`` half periods across the picture, along x."""
    phase = np.pi * cycles * (np.arange(side) + 0.5) / side
    return image_signal(np.tile(0.5 + 0.4 * np.cos(phase), (side, 1)))


@given(st.integers(1, 40))
def test_a_grating_has_its_own_frequency(cycles):
    """All energy of cos(pi k (n + 1/2) / N) lies at k pi / (N dx), dx = 2 / (N - 1)."""
    expected = math.pi * cycles * 63 / (2 * 64)
    assert energy_frequency(grating(cycles), 0.5) == pytest.approx(expected, rel=1e-9)
    assert energy_frequency(grating(cycles), 0.99) == pytest.approx(expected, rel=1e-9)


def test_the_frequency_does_not_depend_on_contrast_offset_or_orientation():
    """Scaling, shifting and transposing the picture leave its spectrum where it was."""
    pixels = np.random.default_rng(0).random((24, 24)).cumsum(axis=0).cumsum(axis=1)
    pixels /= pixels.max()
    reference = energy_frequency(image_signal(pixels), 0.9)
    for changed in (0.5 * pixels, 0.3 + 0.5 * pixels, pixels.T):
        assert energy_frequency(image_signal(changed), 0.9) == pytest.approx(reference, rel=1e-6)


def test_a_spectrum_is_computed_once_and_kept_no_longer_than_its_signal(monkeypatch):
    """All families of a study ask for the same one; a megapixel takes a second."""
    asked = []
    monkeypatch.setattr(spectrum, "_energy_frequency", lambda signal, fraction: asked.append(fraction) or 7.0)
    signal, other = grating(3), grating(5)
    for family in ("gaussian", "sine"):
        default_ranges(family, signal)
        start_points(family, signal)
    assert asked == [0.8]
    energy_frequency(other, 0.8)
    assert asked == [0.8, 0.8]
    kept = weakref.ref(signal)
    del signal
    gc.collect()
    assert kept() is None


def test_more_energy_lies_below_a_higher_frequency():
    """The quantiles of the spectrum are in order."""
    signal = image_signal(np.random.default_rng(1).random((20, 30, 3)))
    quantiles = [energy_frequency(signal, fraction) for fraction in (0.1, 0.5, 0.9, 0.99)]
    assert quantiles == sorted(quantiles)


def test_the_extent_is_the_std_of_a_sine_at_that_frequency():
    """Pre-activations omega x of the grating's frequency have the extent as their root mean square."""
    signal = grating(20)
    omega = energy_frequency(signal, 0.9)
    rms = math.sqrt(np.mean(np.square(omega * signal.coordinates[:, 0].astype(float))))
    assert spectral_extent(signal, 0.9) == pytest.approx(rms, rel=1e-6)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, math.nan])
def test_a_fraction_that_is_none_is_refused(fraction):
    """Fractions outside (0, 1) are named in the error."""
    with pytest.raises(ValueError, match="fraction"):
        energy_frequency(grating(3), fraction)


def test_a_constant_signal_has_no_spectrum():
    """Nothing is left when the mean is taken out, and the error says so."""
    signal = grating(3)
    constant = Signal(signal.coordinates, np.full_like(signal.values, 0.25), "image", signal.shape)
    with pytest.raises(ValueError, match="constant"):
        energy_frequency(constant, 0.5)


@pytest.mark.parametrize("family", sorted(families()))
@pytest.mark.parametrize("kind", ["image", "sound", "volume"])
def test_every_family_starts_inside_its_own_ranges(family, kind):
    """Each start point, in the search's axes, lies within the default ranges of the same signal."""
    values = np.random.default_rng(2).random((16, 16, 3))
    signal = image_signal(values)
    if kind == "sound":
        x = np.linspace(-1, 1, 256, dtype=np.float32)[:, None]
        signal = Signal(x, values[..., :1].reshape(-1, 1).astype(np.float32), "sound", (256,))
    if kind == "volume":
        x = np.stack(np.meshgrid(*[np.linspace(-1, 1, 8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        signal = Signal(x.astype(np.float32), values.reshape(-1, 1)[:512].astype(np.float32), "array", (8, 8, 8))
    ranges = default_ranges(family, signal)
    points = start_points(family, signal)
    assert len(points) >= 3
    for point in points:
        bandwidth = point.sigma_p_first * math.sqrt(1 - point.share_first) / point.sigma_a
        for value, (low, high) in (
            (point.sigma_a, ranges.sigma_a),
            (point.sigma_p / point.sigma_a, ranges.rho),
            (bandwidth, ranges.bandwidth),
            (point.share_first, ranges.share_first),
        ):
            assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)
    ranges = default_ranges(family, signal, one_sigma_p=True)
    for point in one_sigma_p_points(family, signal):
        assert point.sigma_p == point.sigma_p_first
        for value, (low, high) in ((point.sigma_a, ranges.sigma_a), (point.sigma_p / point.sigma_a, ranges.rho)):
            assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)


def test_the_first_layer_follows_the_spectrum():
    """The guessed bandwidth grows with the frequency of the signal, and far less than that does: on pictures hardly."""
    calm, busy = (start_points("sine", grating(k))[0].sigma_p_first for k in (4, 32))
    assert 1.1 < busy / calm < 1.5
    x = np.linspace(-1, 1, 4096, dtype=np.float32)[:, None]
    low, high = (Signal(x, np.sin(k * x), "sound", (4096,)) for k in (40.0, 320.0))
    bandwidths = [start_points("sine", sound)[0].sigma_p_first for sound in (low, high)]
    assert bandwidths[1] / bandwidths[0] == pytest.approx(8.0**0.35, rel=0.05)


def test_the_spectrum_is_taken_once_for_all_start_points(monkeypatch: pytest.MonkeyPatch):
    """One transform of each signal, however many points are made of it."""
    seen = []

    def counted(signal: Signal, fraction: float) -> float:
        seen.append(signal)
        return spectral_extent(signal, fraction)

    monkeypatch.setattr(guess, "spectral_extent", counted)
    signals = [grating(4), grating(32)]
    start_points("gaussian", signals)
    assert seen == signals
