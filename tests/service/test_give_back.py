"""What a network makes of a signal as a file that a real decoder reads."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from encoders import a_tone, a_volume, npy, sound
from PIL import Image

from service.give_back import FORMATS, GAP, Made
from service.reading import kinds
from service.reading.contract import Limits, Options

LIMITS = Limits(memory_bytes=10**9, seconds=60.0, max_pixels=10**6)


def made(data: bytes, stride: int = 1, **options: object) -> Made:
    """A perfect network: what is given back is what was uploaded."""
    reading = kinds.read(data, Options(**options), LIMITS)  # type: ignore[arg-type]
    grid = reading.signal.values.reshape(*reading.signal.shape, -1)
    shown = grid[tuple(slice(None, None, stride) for _ in reading.signal.shape)]
    return Made.of(reading.signal, shown.reshape(-1, shown.shape[-1]), stride, reading.meta)


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_comes_back_as_it_was(channels: int) -> None:
    """The WAV has the upload's rate, channels and amplitudes, within 16 bits."""
    samples = a_tone(2000, channels=channels)
    back, rate = soundfile.read(
        io.BytesIO(FORMATS["sound"]["wav"].write(made(sound(samples, subtype="FLOAT")))), always_2d=True
    )
    assert (rate, back.shape) == (8000, (2000, channels))
    np.testing.assert_allclose(back, samples, atol=1 / 32_000)


def test_sound_beyond_full_scale_is_turned_down() -> None:
    """A float recording with a peak of 4 is not clipped: its shape is kept."""
    samples = a_tone(2000) * 8
    wav = FORMATS["sound"]["wav"].write(made(sound(samples, subtype="FLOAT")))
    back, _ = soundfile.read(io.BytesIO(wav), always_2d=True)
    np.testing.assert_allclose(
        back, samples / np.abs(samples).max(), atol=1.5 / 32_767
    )  # half a step, and libsndfile divides by 32,768


def test_thinned_sound_keeps_its_length() -> None:
    """Every second sample at half the rate."""
    wav = FORMATS["sound"]["wav"].write(made(sound(a_tone(2000)), stride=2))
    back, rate = soundfile.read(io.BytesIO(wav))
    assert (rate, len(back)) == (4000, 1000)


def test_an_array_comes_back_in_its_own_units() -> None:
    """The NPY holds the volume's own numbers; thinned where only every second point is kept."""
    volume = a_volume()
    np.testing.assert_allclose(np.load(io.BytesIO(FORMATS["array"]["npy"].write(made(npy(volume))))), volume, rtol=1e-5)
    thin = np.load(io.BytesIO(FORMATS["array"]["npy"].write(made(npy(volume), stride=2))))
    np.testing.assert_allclose(thin, volume[::2, ::2, ::2], rtol=1e-5)


def test_a_slice_is_shown_beside_the_original_one() -> None:
    """The middle of the slowest axis, twice, with a gap between."""
    volume = a_volume((5, 7, 9))
    shown = np.asarray(Image.open(io.BytesIO(FORMATS["array"]["png"].write(made(npy(volume))))))
    assert shown.shape == (7, 9 + GAP + 9)
    scaled = (volume[2] - volume.min()) / (volume.max() - volume.min())
    np.testing.assert_allclose(shown[:, :9] / 255, scaled, atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(shown[:, :9], shown[:, 9 + GAP :])


@pytest.mark.parametrize(("shape", "axes", "size"), [((8,), None, (1, 20)), ((3, 4, 5, 2), "tyxc", (4, 14))])
def test_every_array_has_a_picture(shape: tuple[int, ...], axes: str | None, size: tuple[int, int]) -> None:
    """A line is a row of pixels; channels that are no colours show their mean."""
    data = npy(np.random.default_rng(0).random(shape))
    shown = FORMATS["array"]["png"].write(made(data, axes=None if axes is None else tuple(axes)))
    assert np.asarray(Image.open(io.BytesIO(shown))).shape == size


def test_a_picture_keeps_its_contrast() -> None:
    """A value_range stretches what is trained, and not what is given back."""
    pixels = np.linspace(60, 180, 12 * 16).reshape(12, 16).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    picture = made(target.getvalue(), value_range=(0.2, 0.8))
    back = np.asarray(Image.open(io.BytesIO(FORMATS["image"]["png"].write(picture))).convert("L"))
    np.testing.assert_allclose(back[:, -16:].astype(int), pixels, atol=1)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_is_shown_beside_the_original(mode: str) -> None:
    """Its pixels come back exactly, twice."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3) if mode == "RGB" else (6, 8)).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    shown = np.asarray(Image.open(io.BytesIO(FORMATS["image"]["png"].write(made(target.getvalue())))))
    np.testing.assert_array_equal(shown[:, :8], pixels)
    np.testing.assert_array_equal(shown[:, 8 + GAP :], pixels)
