"""Every metric agrees with somebody else's computation of it, on real data."""

import math

import numpy as np
import pytest
from real_data import mesh, picture, sound
from scipy import signal as scipy_signal
from scipy.spatial.distance import cdist, jaccard
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vi3nr.metrics import psnr
from vi3nr.metrics_image import ssim
from vi3nr.metrics_shape import chamfer_distance, intersection_over_union, mean_absolute_distance, surface_points
from vi3nr.metrics_sound import log_spectral_distance, snr
from vi3nr.metrics_table import METRICS, Reconstruction, metrics_of, scores
from vi3nr.shapes import shape_signal
from vi3nr.signals import Signal, image_signal

RNG = np.random.default_rng(7)
PICTURE, SOUND = picture(), sound()
BLURRED = (PICTURE + np.roll(PICTURE, 1, 0) + np.roll(PICTURE, 1, 1)) / 3 + 0.02 * RNG.standard_normal(PICTURE.shape)
NOISY = SOUND + 0.01 * RNG.standard_normal(SOUND.shape)


def test_psnr_and_ssim_agree_with_scikit_image() -> None:
    """On a photograph in [-1, 1] and a blurred, noisy one: to rounding; grey as well as colour."""
    true, made = 2 * PICTURE - 1, 2 * BLURRED - 1
    assert psnr(made, true) == pytest.approx(peak_signal_noise_ratio(true, made, data_range=2), abs=1e-9)
    options = {"data_range": 2.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    reference = structural_similarity(true, made, channel_axis=2, **options)
    assert 0.3 < reference < 0.95
    assert ssim(made, true) == pytest.approx(reference, abs=1e-9)
    grey = structural_similarity(true[..., 0], made[..., 0], **options)
    assert ssim(made[..., 0], true[..., 0]) == pytest.approx(grey, abs=1e-9)
    assert ssim(true, true) == pytest.approx(1.0)


@pytest.mark.parametrize("samples", [8192, 500])
def test_log_spectral_distance_agrees_with_scipy(samples: int) -> None:
    """The same number from SciPy's short-time Fourier transform, for a long sound and for one shorter than a frame."""
    frame = min(2048, samples)
    powers = []
    for wave in (NOISY[:samples], SOUND[:samples]):
        transform = scipy_signal.ShortTimeFFT(
            scipy_signal.windows.hann(frame, sym=False), hop=512, fs=1.0, scale_to="magnitude"
        )
        inner = (samples - frame) // 512 + 1  # frames that lie within the sound, the first one from sample 0
        columns = [
            transform.stft_detrend(wave[k * 512 : k * 512 + frame], detr=None, p0=0, p1=1, k_offset=frame // 2)[:, 0]
            for k in range(inner)
        ]
        powers.append(10 * np.log10(np.maximum(np.abs(2 * np.array(columns)) ** 2, 1e-10)))
    reference = np.mean(np.sqrt(np.mean((powers[0] - powers[1]) ** 2, axis=1)))
    assert log_spectral_distance(NOISY[:samples], SOUND[:samples]) == pytest.approx(reference, rel=1e-6)
    assert reference > 1.0
    assert log_spectral_distance(SOUND, SOUND) == 0.0


def test_snr_is_the_ratio_of_powers() -> None:
    """By the variances' logarithms, for one channel and for two; silence has none, a perfect copy an infinite one."""
    noise = NOISY - SOUND
    reference = 10 * np.log10(np.mean(SOUND**2) / np.mean(noise**2))
    assert snr(NOISY, SOUND) == pytest.approx(reference, abs=1e-9)
    assert snr(np.stack([NOISY, NOISY], 1), np.stack([SOUND, SOUND], 1)) == pytest.approx(reference, abs=1e-9)
    assert snr(SOUND, SOUND) == math.inf
    with pytest.raises(ValueError, match="the target is silent"):
        snr(NOISY, np.zeros_like(SOUND))


def test_shape_metrics_agree_with_scipy() -> None:
    """IoU is one minus SciPy's Jaccard distance; Chamfer distances come from the matrix of all distances."""
    first, second = RNG.random(5000) < 0.4, RNG.random(5000) < 0.6
    assert intersection_over_union(first, second) == pytest.approx(1 - jaccard(first, second))
    vertices, faces = mesh()
    one, _ = surface_points(vertices, faces, 700, generator=np.random.default_rng(0))
    other, _ = surface_points(vertices * 1.05, faces, 900, generator=np.random.default_rng(1))
    matrix = cdist(one, other)
    reference = (matrix.min(axis=0).mean() + matrix.min(axis=1).mean()) / 2
    assert chamfer_distance(one, other) == pytest.approx(reference, rel=1e-12)
    assert mean_absolute_distance(one, one + 0.25) == pytest.approx(0.25)


def test_surface_points_are_spread_by_area() -> None:
    """Each lies in its face's plane, and a part of the surface has its share of the points."""
    vertices, faces = mesh()
    points, chosen = surface_points(vertices, faces, 20_000, generator=np.random.default_rng(0))
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.abs(np.einsum("pa,pa->p", points - corners[chosen, 0], normals[chosen])).max() < 1e-9
    areas = np.linalg.norm(normals, axis=1)
    upper = corners[:, :, 1].mean(axis=1) > 0
    share = areas[upper].sum() / areas.sum()
    assert np.mean(upper[chosen]) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 20_000))


def test_every_kind_has_a_main_metric_and_scores_a_perfect_copy_best() -> None:
    """The table's metrics of a kind by name; unequal reconstructions score worse in each."""
    cube = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = np.array([face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))])
    shape = shape_signal(cube, triangles, points=64)
    x = np.linspace(-1, 1, len(SOUND), dtype=np.float32)[:, None]
    signals = {
        "image": image_signal(PICTURE),
        "sound": Signal(x, SOUND[:, None].astype(np.float32), "sound", (len(SOUND),)),
        "shape": shape,
        "array": Signal(x, x, "array", (len(x),)),
    }
    assert signals.keys() == METRICS.keys()
    for kind, signal in signals.items():
        wrong = signal.values + 0.1
        inside, surface = signal.extras.get("inside"), signal.extras.get("surface")
        moved = None if inside is None else np.roll(inside, 3, 0)
        near = Reconstruction(signal.values + 1e-6, inside, surface)
        far = Reconstruction(wrong, moved, None if surface is None else surface + 0.2)
        good, bad = scores(signal, near), scores(signal, far)
        for metric in metrics_of(kind):
            high, low = good[metric.name], bad[metric.name]
            assert high is not None
            assert low is not None
            assert (high > low) == metric.higher_is_better, (kind, metric.name)
    assert [metrics_of(kind)[0].name for kind in METRICS] == ["psnr", "snr", "iou", "psnr"]
    with pytest.raises(ValueError, match="there is no kind of signal 'smell'; choose one of image"):
        metrics_of("smell")
