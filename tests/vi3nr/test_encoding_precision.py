"""Encodings under reduced precision: autocast, half types, and as many octaves as a type has numbers for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vi3nr.activation_module import EncodingModule
from vi3nr.activations import activation
from vi3nr.config import Encoding
from vi3nr.encoding import encode, encoding_frequencies
from vi3nr.initialisers import generator_for
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config

WIDTHS = (2, 8, 8, 3)
X = torch.rand(300, 2, generator=generator_for(0)) * 2 - 1
TEN = Encoding("fourier", 2, 10, identity=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_leaves_the_features_as_they_are(dtype: torch.dtype) -> None:
    """Ten octaves of float32 points under autocast are right to 3e-7, though a matrix product would be rounded."""
    with torch.autocast("cpu", dtype=dtype):
        features = EncodingModule(TEN)(X)
        assert (X @ X.T).dtype == dtype  # autocast is on
    assert features.dtype == torch.float32
    assert np.abs(features.numpy() - encode(TEN, X.numpy())).max() < 3e-7


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_octaves_are_exact_in_half_types(dtype: torch.dtype) -> None:
    """Points that the type holds: whole turns come off without loss, so each octave errs by the type's own rounding."""
    x = X.to(dtype)
    error = (EncodingModule(TEN).to(dtype)(x).double().numpy() - encode(TEN, x.double().numpy())).__abs__().max()
    assert error < 4 * torch.finfo(dtype).eps


@settings(deadline=None, max_examples=25, derandomize=True)
@given(axes=st.integers(1, 4), pairs=st.integers(1, 6), seed=st.integers(0, 9), identity=st.booleans())
def test_features_are_the_waves_of_their_frequencies(axes: int, pairs: int, seed: int, identity: bool) -> None:
    """Any number of axes and pairs: sin(pi b.x) and cos(pi b.x), all sines first, after x if it is kept."""
    encoding = Encoding("random_fourier", axes, pairs, identity, 1.5, seed)
    x = np.random.default_rng(seed).uniform(-1, 1, (5, axes))
    angle = np.pi * x @ encoding_frequencies(encoding).T
    parts = [x] * identity + [np.sin(angle), np.cos(angle)]
    np.testing.assert_allclose(encode(encoding, x), np.concatenate(parts, axis=1), rtol=0, atol=1e-13)


def test_more_octaves_than_float16_has_numbers_for_are_refused() -> None:
    """2^16 is an infinity in float16: told when the network is made and when it is cast; bfloat16 has the range."""
    config = vi3nr_config(activation("relu"), WIDTHS, sigma_p=1.0, encoding=Encoding("fourier", 2, 18))
    with pytest.raises(ValueError, match="in float16 has at most 16 frequencies, got 18"):
        INR.from_config(config, dtype=torch.float16)
    with pytest.raises(ValueError, match="in float16 has at most 16 frequencies, got 18"):
        INR.from_config(config).half()(X.half())
    assert INR.from_config(config, dtype=torch.bfloat16)(X.bfloat16()).isfinite().all()
    most = vi3nr_config(activation("relu"), WIDTHS, sigma_p=1.0, encoding=Encoding("fourier", 2, 16))
    assert INR.from_config(most, dtype=torch.float16)(X.half()).isfinite().all()


@pytest.mark.parametrize("identity", [True, False])
@pytest.mark.parametrize("axes", [1, 3])
def test_points_of_another_dimension_are_refused(axes: int, identity: bool) -> None:
    """Neither dropped nor repeated: the sentence has both shapes."""
    with pytest.raises(ValueError, match=rf"coordinates must be of shape \(\.\.\., 2\), got \(5, {axes}\)"):
        EncodingModule(Encoding("fourier", 2, 3, identity))(torch.zeros(5, axes))
