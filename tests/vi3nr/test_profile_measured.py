"""The prediction holds: measured variances of wide networks through ten layers, family by family.

What the samples are: networks. Units of a layer, and points of a network, share the layer before and so are not
independent; networks drawn from different seeds are. Each network sees one point, and gives one number per layer, the
mean of |z|^2 over units; the sampling error is that of the mean over networks.

What else may deviate: the width, whose effect ``vi3nr.finite_width`` calculates; it is part of the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vi3nr.activations import activation, families
from vi3nr.config import BiasRule, InitConfig
from vi3nr.ensemble.cpu import one_thread
from vi3nr.finite_width import finite_width_drift
from vi3nr.initialisers import draw_parameters, generator_for
from vi3nr.profile import vi3nr_config

NETWORKS = 24
DEPTH = 10
SIGMAS = 5.0  # 24 networks: a t of 5 has probability 5e-5


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread() -> Iterator[None]:
    """Products this small only wait for a second thread."""
    with one_thread():
        yield


def measured(config: InitConfig) -> np.ndarray:
    """Mean |z|^2 over units, relative to sigma_p^2: ``(network, layer)``."""
    phi = activation(config.family, config.sigma_a, **config.parameters)
    rows = []
    for seed in range(NETWORKS):
        x = torch.rand(1, config.widths[0], generator=generator_for(seed + 1_000_000)) * 2 - 1
        row = []
        for (weight, bias), layer in zip(draw_parameters(config, generator_for(seed)), config.layers, strict=True):
            z = x.to(weight.dtype) @ weight.T + bias
            row.append(float(z.abs().square().mean()) / layer.sigma_p**2)
            x = phi.value(z, torch)
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("family", sorted(families()))
@settings(deadline=None, max_examples=3, derandomize=True)
@given(
    rho=st.floats(0.1, 5.0),
    width=st.integers(256, 320),
    distribution=st.sampled_from(["uniform", "normal"]),
    share=st.sampled_from([0.0, 0.3]),
)
def test_ten_layers_keep_the_variance_within_the_sampling_error(
    family: str, rho: float, width: int, distribution: str, share: float
) -> None:
    """Every layer's mean over networks is sigma_p^2 within five standard errors, after the drift of the chain."""
    phi = activation(family)
    rule = BiasRule("share", share) if share else BiasRule()
    widths = (width,) * (DEPTH + 1)
    config = vi3nr_config(phi, widths, sigma_p=rho * phi.sigma_a, bias=rule, distribution=distribution)
    ratios = measured(config)
    error = ratios.std(axis=0, ddof=1) / math.sqrt(NETWORKS)
    expected = 1.0 + np.array(finite_width_drift(config))
    assert (np.abs(ratios.mean(axis=0) - expected) <= SIGMAS * error).all()
    assert error.max() < 0.2  # and the error is small enough to say something


def test_the_drift_is_small_but_where_layers_amplify() -> None:
    """At width 256: under 2 % after ten layers for the bumps and waves up to rho 5; tens of percent for GELU at 0.5."""
    for family in ("gaussian", "sine", "sinc", "gabor", "finer", "tanh", "relu"):
        phi = activation(family)
        for rho in (0.5, 1.0, 2.5, 5.0):
            config = vi3nr_config(phi, (256,) * (DEPTH + 1), sigma_p=rho * phi.sigma_a)
            assert np.abs(finite_width_drift(config)).max() < 0.02
    gelu = finite_width_drift(vi3nr_config(activation("gelu"), (256,) * (DEPTH + 1), sigma_p=0.5))
    assert gelu[:2] == pytest.approx((0.0, 0.0), abs=1e-12)
    assert gelu[-1] > 0.1
