"""Files of every kind over HTTP: what they become, what the options do, what is refused."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from encoders import REAL, a_tone, a_volume, deep_png, npy, npz, sound
from PIL import Image
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import BlobStore
from service.database import make_engine, upgrade
from service.settings import Settings
from service.store import Store
from vi3nr.signals import Signal

Upload = Callable[..., tuple[dict[str, Any], Signal]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kinds")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[TestClient]:
    settings = Settings(data_dir=folder, decode_bytes=300_000_000)
    engine = make_engine(settings.url)
    upgrade(engine)
    engine.dispose()
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def upload(shared: TestClient, folder: Path) -> Upload:
    """Store a file; the answer and the signal that studies get."""

    def store(data: bytes, name: str = "file.bin", **options: str) -> tuple[dict[str, Any], Signal]:
        answer = shared.post("/v1/datasets", files={"files": (name, data)}, data=options)
        assert answer.status_code in (200, 201), answer.text
        settings = Settings(data_dir=folder)
        engine = make_engine(settings.url)
        dataset = Store(engine).dataset(answer.json()["id"])
        engine.dispose()
        assert dataset is not None
        return answer.json(), Signal.from_bytes(BlobStore(settings.blob_dir).get(dataset.blob_key))

    return store


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", None), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", None)])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_becomes_amplitude_over_time(upload: Upload, kind: str, subtype: str | None, channels: int) -> None:
    """WAV, FLAC and OGG, mono and stereo: the amplitudes over their peak, within what the format keeps."""
    samples = a_tone(channels=channels)
    body, signal = upload(sound(samples, kind, subtype=subtype))
    assert (body["kind"], body["in_dim"], body["out_dim"], body["axes"]) == ("sound", 1, channels, ["t"])
    assert (body["sample_rate"], body["original_size"], body["notes"]) == (8000, [3000], [])
    low, high = body["value_range"]
    assert (-low, high) == (pytest.approx(high), pytest.approx(0.5, abs=0.05))
    assert np.abs(signal.values).max() == 1.0
    tolerance = 0.1 if kind == "OGG" else 1e-4
    np.testing.assert_allclose(signal.values * high, samples, atol=tolerance)


def test_of_a_long_sound_the_loudest_part_is_taken_and_it_is_said(upload: Upload) -> None:
    """A burst in the middle of near silence is found."""
    samples = a_tone(6000) * 0.01
    samples[3000:3500] *= 90
    body, signal = upload(sound(samples), max_points="500")
    assert body["notes"] == ["the loudest 0.0625 s of 0.75 s were taken, from 0.375 s on"]
    assert (body["size"], len(signal.values)) == ([500], 500)


def test_sound_is_cropped_in_seconds_and_resampled(upload: Upload) -> None:
    """Half a second from 0.1 s on; at half the rate it has half the samples, and the answer tells the rate."""
    samples = a_tone(8000)
    body, signal = upload(sound(samples, subtype="FLOAT"), crop="0.1:0.6", value_range="-1,1")
    np.testing.assert_allclose(signal.values, samples[800:4800], atol=1e-6)
    body, _ = upload(sound(samples), crop=":0.5", sample_rate="4000")
    assert (body["sample_rate"], body["size"]) == (4000, [2000])
    assert body["notes"] == ["it was resampled from 8000 to 4000 Hz"]


def test_an_array_is_read_with_its_axes(upload: Upload) -> None:
    """A video (t, y, x, c): coordinates (x, y, t), its colours the channels; the extremes are -1 and 1."""
    video = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)
    body, signal = upload(npy(video), axes="t,y,x,c")
    assert (body["kind"], body["axes"], body["shape"]) == ("array", ["x", "y", "t"], [3, 4, 5])
    assert (body["in_dim"], body["out_dim"], body["points"], body["notes"]) == (3, 2, 60, [])
    low, high = body["value_range"]
    assert (low, high) == (video.min(), video.max())
    back = low + (signal.values.reshape(video.shape) + 1) / 2 * (high - low)
    np.testing.assert_allclose(back, video, atol=1e-6)
    first, _ = upload(npy(np.moveaxis(video, -1, 0)), axes="c,t,y,x")
    assert (first["shape"], first["out_dim"]) == ([3, 4, 5], 2)


def test_a_volume_is_made_smaller_by_means_and_cropped_by_indices(upload: Upload) -> None:
    """Halved on every axis it holds the means of 2 x 2 x 2 blocks; a crop names indices of z, y, x."""
    volume = a_volume((4, 8, 16))
    body, signal = upload(npy(volume), max_points="64", value_range="0,8")
    assert (body["shape"], body["size"], body["original_size"]) == ([2, 4, 8], [2, 4, 8], [4, 8, 16])
    assert body["notes"][0] == "its axes of 4 x 8 x 16 were taken as z,y,x"
    blocks = volume.reshape(2, 2, 4, 2, 8, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose((signal.values.reshape(2, 4, 8) + 1) * 4, blocks, rtol=1e-5)
    _, part = upload(npy(volume), crop="1:3,:,4:8", value_range="0,8", axes="z,y,x")
    np.testing.assert_allclose((part.values.reshape(2, 8, 4) + 1) * 4, volume[1:3, :, 4:8], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bool", "u1", "<i2", ">i4", "<f2", ">f8", "<u8"])
@pytest.mark.parametrize("fortran", [False, True])
def test_numbers_of_every_type_are_read(upload: Upload, dtype: str, fortran: bool) -> None:
    """Whatever their type, byte order and memory order."""
    array = (np.arange(35).reshape(5, 7) % 11 > 4) if dtype == "bool" else np.arange(35).reshape(5, 7) * 3
    stored = np.asarray(array, dtype=dtype, order="F" if fortran else "C")
    body, signal = upload(npy(stored), axes="y,x")
    assert body["axes"] == ["x", "y"]
    scaled = 2 * array.astype(float) / array.max() - 1
    np.testing.assert_allclose(signal.values.reshape(5, 7), scaled, atol=1e-6)


def test_an_archives_array_is_chosen_by_name(upload: Upload, shared: TestClient) -> None:
    """Of one array no name is needed; of several it is, and the answer lists them."""
    volume = a_volume()
    _, alone = upload(npz(volume=volume))
    _, named = upload(npz(other=np.eye(3), volume=volume), array="volume")
    np.testing.assert_array_equal(alone.values, named.values)
    answer = shared.post("/v1/datasets", files={"files": ("a.npz", npz(a=np.eye(3), b=np.eye(4)))})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "array"
    assert "a, b" in answer.json()["detail"]


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_deep_colours_keep_their_depth(upload: Upload, channels: int) -> None:
    """A 16-bit PNG, every row filter used: values within rounding of a float32; alpha is laid over white."""
    pixels = np.random.default_rng(1).integers(0, 65536, (11, 13, channels)).astype(np.uint16)
    body, signal = upload(deep_png(pixels))
    colours = pixels / 65535
    if channels in (2, 4):
        colours = colours[..., :-1] * colours[..., -1:] + 1 - colours[..., -1:]
        assert body["notes"] == ["transparent parts were laid over white"]
    np.testing.assert_allclose(signal.values.reshape(colours.shape), 2 * colours - 1, atol=2e-7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_are_turned_as_shallow_ones_are(upload: Upload, orientation: int) -> None:
    """A 16-bit TIFF with each of the eight orientations lies as Pillow lays the same picture of 8 bits."""
    pixels = np.random.default_rng(2).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    deep, shallow = io.BytesIO(), io.BytesIO()
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(deep, pixels.astype(np.uint16) * 257, photometric="rgb", extratags=tag, compression="zlib")
    tifffile.imwrite(shallow, pixels, photometric="rgb", extratags=tag)
    (one, fine), (other, coarse) = upload(deep.getvalue()), upload(shallow.getvalue())
    assert one["size"] == other["size"] == ([6, 9] if orientation > 4 else [9, 6])
    np.testing.assert_allclose(fine.values, coarse.values, atol=1e-6)


def test_options_of_a_picture(upload: Upload, encode: Callable[..., bytes]) -> None:
    """A crop in pixels of x, y; a coordinate range; a value range in parts of full scale, the rest clipped."""
    picture = encode("PNG", 24, 16)
    pixels = np.asarray(Image.open(io.BytesIO(picture))) / 255
    body, signal = upload(picture, crop="4:20,2:", coordinate_range="0,3", value_range="0.25,0.75")
    assert (body["size"], body["original_size"], body["coordinate_range"]) == ([16, 14], [24, 16], [0, 3])
    assert signal.coordinates.min(axis=0).tolist() == [0, 0]
    assert signal.coordinates.max(axis=0).tolist() == [3, 3]
    expected = np.clip((pixels[2:, 4:20] - 0.5) * 4, -1, 1)
    np.testing.assert_allclose(signal.values.reshape(expected.shape), expected, atol=1e-6)


def test_real_files_are_read(upload: Upload) -> None:
    """Photographs and recordings as they were published; a large one is made smaller, and the answer says so."""
    if not REAL.exists():
        pytest.skip("the folder of published files is not here; the encoders' files above are their twins")
    body, _ = upload((REAL / "images" / "kodim20.png").read_bytes())
    assert (body["original_size"], body["size"]) == ([768, 512], [156, 104])
    bach, _ = upload((REAL / "audio" / "gt_bach.wav").read_bytes())
    assert (bach["sample_rate"], bach["out_dim"], bach["size"]) == (44100, 1, [16384])
    speakers, _ = upload((REAL / "audio" / "gt_twospeakers.wav").read_bytes(), max_points="1048576")
    assert (speakers["out_dim"], speakers["points"], speakers["notes"]) == (2, 162816, [])


def lying(shape: str, rest: bytes = b"") -> bytes:
    """An NPY whose header announces another shape than it has bytes for."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + rest


def bomb() -> bytes:
    """A small archive that unpacks to more than is allowed."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        for _ in range(80):
            member.write(b"\0" * 1_000_000)
    return target.getvalue()


def unlike(array: np.ndarray, index: int, value: float) -> np.ndarray:
    array = array.astype(np.float64)
    array.ravel()[index] = value
    return array


REFUSED: list[tuple[Callable[[], bytes], dict[str, str], int, str, str]] = [
    (lambda: b"", {}, 422, "files", "is empty: it has 0 bytes"),
    (lambda: b"", {"kind": "sound"}, 422, "files", "is empty: it has 0 bytes"),
    (lambda: b"just text", {}, 415, "files", "of no known kind"),
    (lambda: npy(np.eye(3)), {"kind": "sound"}, 415, "files", "is no sound of a known format"),
    (lambda: sound(np.zeros((500, 1))), {}, 422, "files", "is silent throughout"),
    (lambda: sound(np.zeros((500, 2))), {}, 422, "files", "is silent throughout"),
    (lambda: sound(np.full((500, 1), 0.25)), {}, 422, "files", "is silent throughout"),
    (lambda: sound(a_tone(1)), {}, 422, "files", "too little sound"),
    (lambda: sound(a_tone(0)), {}, 422, "files", "0 samples"),
    (lambda: sound(unlike(a_tone(), 5, np.nan), subtype="FLOAT"), {}, 422, "files", "NaN or infinite"),
    (lambda: sound(a_tone())[:30], {}, 422, "files", "damaged"),
    (lambda: sound(a_tone()), {"axes": "t"}, 422, "axes", "is no option of the kind sound"),
    (lambda: sound(a_tone()), {"crop": "0.2:0.1"}, 422, "crop", "0 <= start < stop"),
    (lambda: sound(a_tone()), {"crop": "0:0.1,0:1"}, 422, "crop", "one start:stop"),
    (lambda: sound(a_tone()), {"sample_rate": "5"}, 422, "sample_rate", "must lie in"),
    (lambda: sound(a_tone()), {"sample_rate": "99999999"}, 422, "sample_rate", "must lie in"),
    (lambda: npy(np.eye(4)), {"sample_rate": "8000"}, 422, "sample_rate", "no option of the kind array"),
    (lambda: npy(np.ones((4, 5))), {}, 422, "files", "same value throughout"),
    (lambda: npy(unlike(np.eye(5), 3, np.nan)), {}, 422, "files", "holds 1 values of 25 that are NaN"),
    (lambda: npy(unlike(np.eye(5), 3, np.inf)), {}, 422, "files", "NaN or infinite"),
    (lambda: npy(np.zeros((0, 3))), {}, 422, "files", "is empty"),
    (lambda: npy(np.zeros((1, 1))), {}, 422, "files", "one point only"),
    (lambda: npy(np.array(3.0)), {}, 422, "axes", "must name the 0 axes"),
    (lambda: npy(np.eye(4)), {"axes": "z,y,x"}, 422, "axes", "must name the 2 axes"),
    (lambda: npy(np.eye(4)[0]), {"axes": "c"}, 422, "axes", "beside the channels"),
    (lambda: npy(np.eye(4)), {"axes": "x,x"}, 422, "axes", "different names"),
    (lambda: npy(np.eye(4)), {"axes": "../etc"}, 422, "axes", "small letters"),
    (lambda: npy(np.eye(4)), {"array": "a"}, 422, "array", "this file is an NPY"),
    (lambda: npy(np.eye(4)), {"crop": "0:2"}, 422, "crop", "one start:stop for each"),
    (lambda: npy(np.eye(4)), {"crop": "0:2,1:9"}, 422, "crop", "0 <= start < stop <= 4"),
    (lambda: npy(np.eye(4)), {"crop": "0:1.5,0:1"}, 422, "crop", "whole numbers"),
    (lambda: npy(np.eye(4)), {"crop": "nonsense"}, 422, "crop", "start:stop"),
    (lambda: npy(np.eye(4)), {"value_range": "1,0"}, 422, "value_range", "low < high"),
    (lambda: npy(np.eye(4)), {"value_range": "5,6"}, 422, "files", "same value throughout"),
    (lambda: npy(np.eye(4)), {"coordinate_range": "nan,1"}, 422, "coordinate_range", "finite number"),
    (lambda: npy(np.eye(4)), {"coordinate_range": "0,1e300"}, 422, "coordinate_range", "must lie within"),
    (lambda: npy(np.eye(4)), {"kind": "picture"}, 422, "kind", "there is no such kind"),
    (lambda: npy(np.eye(4)), {"samples": "100"}, 422, "samples", "no option of the kind array"),
    (lambda: npy(np.array([1, "a"], dtype=object)), {}, 422, "files", "only real numbers"),
    (lambda: npy(np.eye(3) * 1j), {}, 422, "files", "only real numbers"),
    (lambda: npy(np.zeros(3, [("a", "f4")])), {}, 422, "files", "only real numbers"),
    (lambda: npy(np.array(["a", "b"])), {}, 422, "files", "only real numbers"),
    (lambda: lying("(4294967296,)"), {}, 422, "files", "has 0 bytes for it"),
    (lambda: lying("(4, 4)", b"\0" * 127), {}, 422, "files", "has 127 bytes for it"),
    (lambda: lying("(-2, -2)", b"\0" * 32), {}, 422, "files", "bytes for it"),
    (lambda: lying("(True, 4)", b"\0" * 32), {}, 422, "files", "bytes for it"),
    (lambda: lying("__import__('os').getcwd()"), {}, 422, "files", "header that is no NPY's"),
    (lambda: b"PK\x05\x06" + b"\0" * 18, {}, 422, "files", "without arrays"),
    (lambda: npz(a=np.eye(4))[:100], {}, 422, "files", "damaged archive"),
    (bomb, {}, 422, "files", "unpacks to 80000000 bytes"),
]


@pytest.mark.parametrize(("make", "options", "status", "field", "words"), REFUSED)
def test_what_will_not_do_is_a_problem_with_its_field(
    shared: TestClient, make: Callable[[], bytes], options: dict[str, str], status: int, field: str, words: str
) -> None:
    """A 4xx with a sentence that names the file or the option."""
    answer = shared.post("/v1/datasets", files={"files": ("upload.bin", make())}, data=options)
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert words in error["message"], error
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_kind_comes_from_the_content_whatever_the_name(upload: Upload) -> None:
    """A sound called .png is a sound."""
    body, _ = upload(sound(a_tone(2900)), "photo.png")
    assert (body["kind"], body["name"]) == ("sound", "photo.png")


def test_the_same_bytes_with_other_options_are_another_dataset(shared: TestClient) -> None:
    """Options that come to the same are one dataset; the bytes of equal signals are kept once."""
    data = {"files": ("a.npy", npy(a_volume((3, 4, 5))))}
    first = shared.post("/v1/datasets", files=data, data={"crop": ":,:,:"})
    again = shared.post("/v1/datasets", files=data, data={"crop": ":,:,:", "axes": ""})
    other = shared.post("/v1/datasets", files=data, data={"crop": "1:,:,:"})
    assert [first.status_code, again.status_code, other.status_code] == [201, 200, 201]
    assert first.json()["id"] == again.json()["id"] != other.json()["id"]
