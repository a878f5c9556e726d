"""Images as signals, and PSNR."""

import math
import pickle

import numpy as np
import pytest

from vi3nr.metrics import psnr, psnr_from_mse
from vi3nr.signals import Signal, image_signal

COLOURS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 15


def test_points_run_row_by_row_with_x_first() -> None:
    """The corners lie at -1 and 1, x runs along a row, y from the first row down, and values map [0, 1] to [-1, 1]."""
    signal = image_signal(COLOURS)
    assert signal.coordinates.tolist() == [[-1, -1], [0, -1], [1, -1], [-1, 1], [0, 1], [1, 1]]
    np.testing.assert_allclose(signal.values, COLOURS.reshape(6, 3) / 127.5 - 1.0, atol=1e-7)
    assert (signal.kind, signal.shape) == ("image", (2, 3))
    assert signal.coordinates.dtype == signal.values.dtype == np.float32


def test_depths_of_one_picture_agree() -> None:
    """uint8, uint16 and float forms of the same grey picture give the same values, one channel."""
    grey = COLOURS[..., 0]
    eight = image_signal(grey)
    for same in (grey.astype(np.uint16) * 257, grey / 255.0, (grey / 255.0).astype(np.float32), grey[..., None]):
        np.testing.assert_allclose(image_signal(same).values, eight.values, atol=1e-6)
    assert eight.values.shape == (6, 1)


@pytest.mark.parametrize("pixels", [COLOURS, COLOURS[..., 0]])
def test_pixels_come_back(pixels: np.ndarray) -> None:
    """``to_pixels`` of the values is the picture, and what lies outside is clipped."""
    signal = image_signal(pixels)
    assert np.array_equal(signal.to_pixels(signal.values), pixels)
    assert signal.to_pixels(np.full_like(signal.values, 7.0)).min() == 255
    with pytest.raises(ValueError, match="values must be of shape"):
        signal.to_pixels(signal.values[:-1])


def test_input_second_moment_is_measured() -> None:
    """On n equidistant points from -1 to 1 it is (n + 1) / (3 (n - 1)), more than the 1/3 of the continuum."""
    signal = image_signal(np.eye(9))
    assert signal.input_second_moment == pytest.approx(10 / 24, rel=1e-6)


def test_one_row_is_a_picture_too() -> None:
    """A row of pixels lies at y = 0."""
    assert image_signal(np.array([[0.0, 1.0, 0.5]])).coordinates.tolist() == [[-1, 0], [0, 0], [1, 0]]


def test_bytes_round_trip() -> None:
    """``from_bytes`` inverts ``to_bytes`` to the last bit, without pickle; other processes get it pickled."""
    signal = image_signal(COLOURS)
    for again in (Signal.from_bytes(signal.to_bytes()), pickle.loads(pickle.dumps(signal))):
        assert np.array_equal(again.coordinates, signal.coordinates)
        assert np.array_equal(again.values, signal.values)
        assert (again.kind, again.shape) == (signal.kind, signal.shape)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((0, 4)), "the image is empty"),
        (np.zeros((1, 1, 3)), "at least two pixels"),
        (np.full((4, 4, 3), 0.5), "one colour throughout"),
        (np.array([[0.0, math.nan]]), "pixels must be finite"),
        (np.array([[0.0, 1.5]]), r"must lie in \[0, 1\], got 0 to 1.5"),
        (np.zeros(5), r"got \(5,\)"),
        (np.zeros((2, 2, 2, 2)), "an image has shape"),
        (np.eye(3, dtype=np.int64), "pixels must be uint8, uint16 or float, got int64"),
        (np.eye(3, dtype=bool), "got bool"),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray, message: str) -> None:
    """Each kind of unusable image has its sentence."""
    with pytest.raises(ValueError, match=message):
        image_signal(pixels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros((6, 1))}, "values must be float32"),
        ({"coordinates": np.zeros((5, 2), np.float32)}, "got 5 coordinates for 6 values"),
        ({"shape": (2, 4)}, "does not hold 6 points"),
        ({"values": np.full((6, 1), np.inf, np.float32)}, "values must be finite"),
    ],
)
def test_a_signal_is_consistent(change: dict, message: str) -> None:
    """Arrays that do not belong together are refused."""
    signal = image_signal(COLOURS)
    parts = {name: getattr(signal, name) for name in ("coordinates", "values", "kind", "shape")}
    with pytest.raises(ValueError, match=message):
        Signal(**{**parts, **change})


def test_psnr_is_the_definition_and_is_not_clipped() -> None:
    """10 log10(4 / mse) for a data range of 2; predictions far outside [-1, 1] count in full."""
    target = np.zeros((10, 3), np.float32)
    assert psnr(target + 0.2, target) == pytest.approx(20.0, abs=1e-5)
    assert psnr(target + 20.0, target) == pytest.approx(-20.0)
    assert psnr(target + 0.1, target, data_range=1.0) == pytest.approx(20.0, abs=1e-5)
    assert psnr(target, target) == math.inf
    assert psnr_from_mse(0.04) == pytest.approx(20.0)
    assert math.isnan(psnr_from_mse(math.nan))
    assert psnr_from_mse(math.inf) == -math.inf


def test_psnr_refuses_nonsense() -> None:
    """Other shapes, nothing to compare, a negative error."""
    with pytest.raises(ValueError, match="must be of one shape"):
        psnr(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="not empty"):
        psnr(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="mse must not be negative"):
        psnr_from_mse(-1.0)
    with pytest.raises(ValueError, match="data_range must be positive"):
        psnr_from_mse(1.0, data_range=0.0)
