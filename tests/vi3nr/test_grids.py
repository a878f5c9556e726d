"""Signals on grids: coordinates, ranges, sound and arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vi3nr.grids import array_signal, grid_coordinates, grid_signal, sound_signal, to_unit, to_values
from vi3nr.signals import image_signal
from vi3nr.spectrum import energy_frequency


def test_a_picture_is_the_same_grid_as_any_array() -> None:
    """Coordinates of ``grid_coordinates`` are those of ``image_signal``: (x, y), row by row."""
    signal = image_signal(np.random.default_rng(0).random((4, 7, 3)))
    np.testing.assert_array_equal(grid_coordinates((4, 7)), signal.coordinates)


def test_coordinates_run_against_the_axes() -> None:
    """Of a (z, y, x) grid the columns are (x, y, z): x changes fastest, z slowest; an axis of one point lies midway."""
    coordinates = grid_coordinates((2, 1, 3), 0.0, 4.0)
    assert coordinates.tolist() == [[x, 2.0, z] for z in (0.0, 4.0) for x in (0.0, 2.0, 4.0)]


@given(
    st.floats(-1e6, 1e6).flatmap(lambda low: st.tuples(st.just(low), st.floats(0.01, 1e6).map(lambda w: low + w))),
    st.floats(0, 1),
)
def test_units_and_values_are_inverse(value_range: tuple[float, float], share: float) -> None:
    """The range's ends are -1 and 1, what lies between goes there and back, what lies outside is clipped."""
    low, high = value_range
    value = min(low + share * (high - low), high)
    assert to_unit(np.array([low, high, low - 1, high + 1]), value_range).tolist() == pytest.approx([-1, 1, -1, 1])
    back = to_values(to_unit(np.array([value]), value_range), value_range)[0]
    assert back == pytest.approx(value, abs=1e-9 * max(abs(low), abs(high)))


def test_the_widest_range_that_floats_hold_does_not_overflow() -> None:
    """Differences of the largest floats are infinite; their units are not."""
    most = np.finfo(np.float64).max
    assert to_unit(np.array([-most, 0.0, most]), (-most, most)).tolist() == [-1.0, 0.0, 1.0]


def test_sound_is_scaled_to_its_peak_over_all_channels() -> None:
    """Quiet channels stay quieter; the time runs from -1 to 1."""
    samples = np.array([[0.1, 0.0], [-0.2, 0.05], [0.0, 0.4]])
    signal = sound_signal(samples)
    assert (signal.kind, signal.shape) == ("sound", (3,))
    np.testing.assert_allclose(signal.values, samples / 0.4, rtol=1e-6)
    assert signal.coordinates.ravel().tolist() == [-1.0, 0.0, 1.0]


def test_an_array_is_scaled_from_its_smallest_to_its_largest() -> None:
    """Whatever its numbers mean, they fill [-1, 1]; with a range of one's own they are clipped to it."""
    values = np.array([10.0, 20.0, 40.0, 50.0]).reshape(2, 2, 1)
    assert array_signal(values).values.ravel().tolist() == [-1.0, -0.5, 0.5, 1.0]
    assert array_signal(values, (20.0, 40.0)).values.ravel().tolist() == [-1.0, -1.0, 1.0, 1.0]


def test_a_sounds_frequency_is_found_in_the_units_of_its_coordinates() -> None:
    """50 half waves over [-1, 1] have the angular frequency 25 pi; over [0, 1] twice that, for the span is half."""
    wave = np.cos(np.pi * 50 * (np.arange(2000) + 0.5) / 2000)[:, None]
    for coordinate_range, expected in (((-1.0, 1.0), 25 * np.pi), ((0.0, 1.0), 50 * np.pi)):
        assert energy_frequency(grid_signal(wave, "sound", coordinate_range), 0.95) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sound_signal(np.zeros(9)), "silent"),
        (lambda: sound_signal(np.full(9, 0.5)), "same value"),
        (lambda: sound_signal(np.array([0.0, np.nan])), "finite"),
        (lambda: sound_signal(np.zeros((2, 2, 2))), "shape"),
        (lambda: sound_signal(np.array([0.5])), "two points"),
        (lambda: array_signal(np.ones((3, 3, 1))), "same value"),
        (lambda: array_signal(np.full((3, 3, 1), np.inf)), "finite"),
        (lambda: array_signal(np.ones(3)), "shape"),
        (lambda: array_signal(np.ones((0, 3))), "same value"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_a_sentence(make: Callable[[], object], words: str) -> None:
    """Silence, one value throughout, NaN, another shape."""
    with pytest.raises(ValueError, match=words):
        make()
