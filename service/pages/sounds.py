"""The section of a sound: waveforms, spectrograms and players."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from service.pages.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Frame, Line, line_chart, svg
from service.pages.colours import picture_uri, viridis
from service.pages.pictures import Reconstructions, Shown, psnr_of
from service.pages.words import as_shown
from vi3nr.plots import Axis
from vi3nr.signals import Signal

__all__ = ["sound_section"]

COLUMNS = 400  # of a waveform
WINDOW = 256  # samples of a spectrogram's frame
QUIET_DB = -80.0  # below the loudest: black
FULL = 32767  # of 16-bit samples


def sound_section(signal: Signal, shown: Sequence[Shown], name: str, meta: Mapping[str, Any]) -> Reconstructions:
    """One row for the original and one for each reconstruction."""
    rate = float(meta.get("sample_rate") or 1.0)
    rows = [_row("Original", f"{len(signal.values) / rate:.3g} s, {rate:g} Hz", signal.values, rate, "other", name)]
    for place, one in enumerate(shown):
        exhibit = one.exhibit
        caption = as_shown(psnr_of(exhibit, signal), exhibit.seed)
        style = "winner" if place == 0 else "usual"
        rows.append(_row(one.title, caption, exhibit.values, rate / exhibit.stride, style, one.title))
    note = (
        f"Spectrograms: {WINDOW} samples a frame, from {QUIET_DB:g} dB (dark) to the loudest of each (bright). "
        "Players: 16 bits; what lies outside the range is clipped."
    )
    html = Markup("<div class='plots'>{}</div>").format(Markup("").join(rows))
    return Reconstructions((), html, note, Markup(""))


def _row(title: str, caption: str, values: np.ndarray, rate: float, style: str, name: str) -> Markup:
    """Waveform with player, and spectrogram, of ``values`` (sample, channel)."""
    one = values.mean(axis=1)
    return Markup(
        "<figure><figcaption><strong>{title}</strong> {caption}</figcaption>{wave}"
        "<audio controls preload='metadata' src='{sound}' aria-label='{label}'></audio></figure>"
        "<figure><figcaption><strong>{title}</strong> Spectrogram</figcaption>{spectrogram}</figure>"
    ).format(
        title=title, caption=caption, wave=_waveform(one, rate, style, title), sound=_wav(values, rate),
        label=f"Play {name}", spectrogram=_spectrogram(one, rate, title),
    )  # fmt: skip


def _waveform(values: np.ndarray, rate: float, style: str, title: str) -> Markup:
    """The range of the amplitude in each column."""
    parts = np.array_split(values, min(COLUMNS, len(values)))
    times = (np.cumsum([len(part) for part in parts]) - len(parts[0]) / 2) / rate
    low, high = [float(part.min()) for part in parts], [float(part.max()) for part in parts]
    chart = Chart(f"Waveform of {title}", f"Amplitude over {len(values) / rate:.3g} seconds.", "time, s", "amplitude")
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    return line_chart(chart, [Line("", f"{style} full", times.tolist(), middle, low, high)])


def _spectrogram(values: np.ndarray, rate: float, title: str) -> Markup:
    """Magnitudes in dB over time and frequency."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(values, WINDOW // 2), WINDOW)[:: WINDOW // 4]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1))  # (frame, frequency)
    loud = 20.0 * np.log10(np.maximum(spectrum / max(float(spectrum.max()), 1e-12), 1e-12))
    shares = 1.0 - np.clip(loud / QUIET_DB, 0.0, 1.0)
    seconds, kilohertz = len(values) / rate, rate / 2000.0
    chart = Chart(
        f"Spectrogram of {title}", f"Loudness over {seconds:.3g} seconds, up to {kilohertz:.3g} kHz.",
        "time, s", "frequency, kHz",
    )  # fmt: skip
    frame = Frame(
        Axis(0.0, seconds, LEFT, WIDTH - RIGHT, False), Axis(0.0, kilohertz, HEIGHT - BOTTOM, TOP, False), grid=False
    )
    picture = Markup("<image x='{}' y='{}' width='{}' height='{}' preserveAspectRatio='none' href='{}'/>").format(
        LEFT, TOP, WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP, picture_uri(viridis(shares.T[::-1]))
    )
    return svg(chart, [picture, *frame.draw(chart)], [], HEIGHT)


def _wav(values: np.ndarray, rate: float) -> str:
    """A WAV file as a data URI."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(values.shape[1])
        file.setsampwidth(2)
        file.setframerate(max(1, round(rate)))
        file.writeframes(np.rint(np.clip(values, -1.0, 1.0) * FULL).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode()}"
