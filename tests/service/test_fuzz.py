"""Damaged files of every kind over HTTP: each is read or refused. 500 of them here, as many as ``VI3NR_FUZZ`` says in
``make fuzz``.
"""

from __future__ import annotations

import io
import os
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
import tifffile
import trimesh
from encoders import REAL, a_tone, a_volume, deep_png, npy, npz, sound
from PIL import Image
from starlette.testclient import TestClient

MUTATIONS = int(os.environ.get("VI3NR_FUZZ", "500"))
SLOWEST = 5.0  # seconds of processor time for one file
LARGEST = 1_500_000_000  # bytes of memory of a reading process
WORDS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80")


def photograph() -> np.ndarray:
    path = REAL / "images" / "kodim15.png"
    if path.exists():
        return np.asarray(Image.open(path).resize((48, 32)))
    from skimage import data

    return np.asarray(Image.fromarray(data.chelsea()).resize((48, 32)))


def music() -> np.ndarray:
    path = REAL / "audio" / "gt_twospeakers.wav"
    if path.exists():
        return np.asarray(soundfile.read(path, frames=4000, start=60_000)[0])
    return a_tone(4000, channels=2)


def seeds() -> list[tuple[str, bytes]]:
    """A small file of every format, with what a photograph and a recording hold."""
    picture, samples, volume = photograph(), music(), a_volume()
    made = []
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        target = io.BytesIO()
        Image.fromarray(picture).save(target, kind)
        made.append((kind, target.getvalue()))
    for kind, options in (("TIFF", {"compression": "tiff_lzw"}), ("PNG", {"bits": 4}), ("JPEG", {"progressive": True})):
        target = io.BytesIO()
        Image.fromarray(picture).convert("P" if kind == "PNG" else "RGB").save(target, kind, **options)
        made.append((f"{kind} {next(iter(options))}", target.getvalue()))
    deep = picture.astype(np.uint16) * 257
    target = io.BytesIO()
    tifffile.imwrite(target, deep, photometric="rgb", compression="zlib")
    made += [("deep PNG", deep_png(deep[:16, :20])), ("deep TIFF", target.getvalue())]
    for kind, subtype in (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("FLAC", None), ("OGG", None)):
        made.append((f"{kind} {subtype}", sound(samples, kind, 44_100, subtype)))
    made += [("NPY", npy(volume)), ("NPY f2", npy(volume.astype(np.float16).T)), ("NPZ", npz(volume=volume))]
    solid = trimesh.creation.icosphere(subdivisions=0)
    for kind in ("obj", "ply", "stl", "off"):
        text = solid.export(file_type=kind)
        made.append((kind.upper(), text.encode() if isinstance(text, str) else text))
    return made


def mutated(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Bytes flipped, words set to extremes, parts cut out, doubled or exchanged; mostly near the headers."""
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 5]))):
        if len(changed) < 8:
            break
        reach = min(len(changed), int(rng.choice([64, 256, len(changed)])))
        at, length = int(rng.integers(0, reach)), int(rng.integers(1, 1 + min(64, len(changed))))
        match int(rng.integers(0, 7)):
            case 0 | 1:
                changed[at] = int(rng.integers(0, 256))
            case 2:
                word = WORDS[int(rng.integers(len(WORDS)))]
                changed[at : at + len(word)] = word
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5:
                changed[at : at + length] = other[at : at + length]
            case 6 if rng.random() < 0.3:
                del changed[int(rng.integers(0, len(changed))) :]
            case _:
                changed[at] ^= 1 << int(rng.integers(0, 8))
    return checked(bytes(changed)) if rng.random() < 0.7 else bytes(changed)


def checked(data: bytes) -> bytes:
    """A PNG with checksums that are right again: else its decoder would never see the damage."""
    if not data.startswith(b"\x89PNG"):
        return data
    at, parts = 8, [data[:8]]
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        parts += [data[at : at + 4], body, zlib.crc32(body).to_bytes(4, "big")]
        at += 12 + length
    return b"".join([*parts, data[at:]])


def used(reading: list[psutil.Process]) -> float:
    """Seconds of processor time that the reading process and its forks have taken."""
    times = [process.cpu_times() for process in reading]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


@pytest.mark.timeout(0)
def test_damaged_files_are_read_or_refused(
    client: TestClient, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Every answer is 200, 201 or a 4xx; the reading process never goes down, and no file takes it too long."""
    files, rng = seeds(), np.random.default_rng(int(os.environ.get("VI3NR_FUZZ_SEED", "1")))
    counts: Counter[str] = Counter()
    slowest, traces = 0.0, Counter[str]()
    reading: list[psutil.Process] = []
    for number in range(MUTATIONS):
        name, data = files[number % len(files)]
        upload = mutated(rng, data, files[int(rng.integers(len(files)))][1])
        options = {"max_points": "500"} if rng.random() < 0.5 else {}
        before = used(reading)
        answer = client.post("/v1/datasets", files={"files": (f"{number}.bin", upload)}, data=options)
        if not number:
            reading = [one for one in psutil.Process().children() if "child.py" in " ".join(one.cmdline())]
        seconds = used(reading) - before if number else 0.0  # before the first file it loads
        if answer.status_code >= 500 or seconds > SLOWEST or "within the limits" in answer.text:
            Path(tmp_path / f"{number}.bin").write_bytes(upload)
            print(f"{name} number {number}: {answer.status_code} after {seconds:.1f} s: {answer.text[:300]}")
        assert answer.status_code in (200, 201, 415, 422), answer.text
        slowest = max(slowest, seconds)
        if number % 500 == 499:
            print(f"{number + 1} files, slowest {slowest:.2f} s", flush=True)
        counts[f"{name}: {'read' if answer.status_code < 300 else 'refused'}"] += 1
        counts["within limits"] += "within the limits" in answer.text
        traces.update(record.getMessage() for record in caplog.records if "reader failed" in record.getMessage())
        caplog.clear()
    memory = max(process.memory_info().rss for process in reading)
    print(f"slowest {slowest:.2f} s of processor time, memory {memory / 1e6:.0f} MB")
    print(f"decoders' own mistakes: {dict(traces)}")
    print(dict(sorted(counts.items())))
    assert counts["within limits"] == 0
    assert memory < LARGEST
    assert slowest < SLOWEST
    for name, _ in files:
        assert counts[f"{name}: refused"], f"no damage to {name} was noticed"
