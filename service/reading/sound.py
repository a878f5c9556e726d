"""Sound: WAV, FLAC and OGG through libsndfile."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import soundfile

from service.reading.contract import Limits, Options, Reading, RefusedError
from vi3nr.grids import COORDINATE_RANGE, grid_signal, to_unit

__all__ = ["OPTIONS", "read", "sniff"]

OPTIONS = ("crop", "coordinate_range", "value_range", "sample_rate")
FORMATS = ("WAV", "WAVEX", "FLAC", "OGG")
BLOCK = 1 << 16  # samples that are decoded at a time
MOST_CHANNELS = 32
RATES = (10, 768_000)  # Hz


def sniff(data: bytes) -> bool:
    """RIFF or RF64 with WAVE in it, fLaC, OggS."""
    return (data[:4] in (b"RIFF", b"RIFX") and data[8:12] == b"WAVE") or data[:4] in (b"fLaC", b"OggS")


def read(data: bytes, options: Options, limits: Limits) -> Reading:
    """Decode, resample, crop, and take the loudest part that fits; the amplitude ``peak`` becomes 1."""
    samples, rate = _decode(data, limits)
    notes: list[str] = []
    original = len(samples)
    if options.sample_rate is not None and options.sample_rate != rate:
        samples, rate = _resampled(samples, rate, options.sample_rate, limits, notes)
    if options.crop is not None:
        samples = _cropped(samples, rate, options.crop)
    if len(samples) > options.max_points:
        samples = _loudest(samples, options.max_points, rate, notes)
    _check(samples)
    peak = float(np.abs(samples).max())
    value_range = options.value_range or (-peak, peak)
    outside = int(((samples < value_range[0]) | (samples > value_range[1])).sum())
    if outside:
        notes.append(f"{outside} amplitudes outside value_range were clipped")
    coordinate_range = options.coordinate_range or COORDINATE_RANGE
    try:
        signal = grid_signal(to_unit(samples, value_range), "sound", coordinate_range)
    except ValueError as error:
        raise RefusedError("content", str(error)) from None
    meta: dict[str, Any] = {
        "original_size": [original],
        "size": [len(samples)],
        "axes": ["t"],
        "coordinate_range": list(coordinate_range),
        "value_range": list(value_range),
        "sample_rate": rate,
        "notes": notes,
    }
    return Reading(signal, meta)


def _decode(data: bytes, limits: Limits) -> tuple[np.ndarray, int]:
    """Samples ``(samples, channels)`` and the rate. A length that the header announces is not believed."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.format not in FORMATS:
                raise RefusedError("type", f"is sound of the format {file.format}, not {', '.join(FORMATS)}")
            if not 1 <= file.channels <= MOST_CHANNELS:
                raise RefusedError("content", f"has {file.channels} channels: at most {MOST_CHANNELS} are read")
            if not RATES[0] <= file.samplerate <= RATES[1]:
                raise RefusedError("content", f"has a sample rate of {file.samplerate} Hz, outside {RATES}")
            blocks, left = [], limits.max_values // file.channels
            while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
                blocks.append(block)
                left -= len(block)
                if left < 0:
                    raise RefusedError("size", f"has more than {limits.max_values} amplitudes")
            rate = int(file.samplerate)
    except soundfile.LibsndfileError as error:
        said = error.error_string  # without the words of its place in memory
        raise RefusedError("content", f"is damaged: {ascii(said)[1:-1][:120]}") from None
    if not blocks:
        raise RefusedError("content", "holds no sound: it has 0 samples")
    samples = np.concatenate(blocks)
    if not np.isfinite(samples).all():
        raise RefusedError("content", "holds amplitudes that are NaN or infinite")
    return samples.astype(np.float64), rate


def _resampled(samples: np.ndarray, rate: int, wanted: int, limits: Limits, notes: list[str]) -> tuple[np.ndarray, int]:
    if not RATES[0] <= wanted <= RATES[1] or samples.size * wanted / rate > limits.max_values:
        sentence = f"must lie in {RATES[0]} to {RATES[1]} Hz and not make the sound too long"
        raise RefusedError("option", sentence, "sample_rate", wanted)
    from scipy import signal as filters  # takes long to load, and few ask for it

    common = math.gcd(rate, wanted)
    notes.append(f"it was resampled from {rate} to {wanted} Hz")
    return filters.resample_poly(samples, wanted // common, rate // common, axis=0), wanted


def _cropped(samples: np.ndarray, rate: int, crop: tuple[tuple[float | None, float | None], ...]) -> np.ndarray:
    if len(crop) != 1:
        raise RefusedError("option", f"of sound is one start:stop in seconds, got {len(crop)}", "crop", crop)
    ((start, stop),) = crop
    seconds = len(samples) / rate
    first, last = 0.0 if start is None else start, seconds if stop is None else stop
    if not 0 <= first < last <= seconds + 0.5 / rate:
        sentence = f"must be seconds start:stop with 0 <= start < stop <= {seconds:.6g}"
        raise RefusedError("option", sentence, "crop", crop)
    return samples[round(first * rate) : round(last * rate)]


def _loudest(samples: np.ndarray, count: int, rate: int, notes: list[str]) -> np.ndarray:
    """The ``count`` samples in a row with the most energy: the start of a recording is often silent."""
    energy = np.concatenate([[0.0], np.cumsum((samples * samples).sum(axis=1))])
    first = int(np.argmax(energy[count:] - energy[:-count]))
    notes.append(
        f"the loudest {count / rate:.4g} s of {len(samples) / rate:.4g} s were taken, from {first / rate:.4g} s on"
    )
    return samples[first : first + count]


def _check(samples: np.ndarray) -> None:
    if len(samples) < 2:
        raise RefusedError("content", f"holds too little sound: {len(samples)} samples")
    if (samples == samples[0]).all():
        raise RefusedError("content", "is silent throughout: there is nothing to fit")
