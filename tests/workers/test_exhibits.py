"""What is kept of trained networks is bounded, whatever the dataset and the networks."""

from __future__ import annotations

import numpy as np
import pytest

from vi3nr.activations import activation
from vi3nr.grids import grid_signal
from vi3nr.networks import INR
from vi3nr.profile import vi3nr_config
from workers import exhibitor
from workers.exhibitor import exhibits
from workers.exhibits import MOST_PARAMETERS, Trained, shown_signals


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        (100, (0, 1, 2, 3, 4)),
        (MOST_PARAMETERS // 2, (0, 3, 4)),
        (MOST_PARAMETERS // 3, (0, 1, 3, 4)),
        (2 * MOST_PARAMETERS, (0,)),
    ],
)
def test_held_out_signals_are_kept_before_others(parameters: int, kept: tuple[int, ...]) -> None:
    """Five signals, the last two held out: as many as there is room for, the first one always."""
    assert shown_signals(5, 3, parameters) == kept


def test_further_signals_share_what_may_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three signals the first is kept whole; the two others together have at most as many values as may be kept,
    and every metric is of all points all the same. Their weights are not kept.
    """
    monkeypatch.setattr(exhibitor, "MOST_VALUES", 200)
    rng = np.random.default_rng(0)
    signals = [grid_signal(rng.uniform(-1, 1, (20, 20, 1)), "image") for _ in range(3)]
    config = vi3nr_config(activation("sine"), (2, 8, 8, 1), sigma_p=1.0)
    network = INR.from_config(config, seed=0)
    weights = np.concatenate([p.detach().numpy().reshape(-1) for p in network.parameters()])
    made = exhibits([Trained("sine", "a", "finalist", config, 0, weights, place) for place in range(3)], signals)
    assert [one.signal for one in made] == [0, 1, 2]
    assert made[0].values.size == 400
    assert len(made[0].parameters) == len(weights)
    assert sum(one.values.size for one in made[1:]) <= 200
    for one in made:
        assert set(one.metrics) == {"psnr", "ssim"}
        assert one.metrics["psnr"] is not None
    assert [len(one.parameters) for one in made[1:]] == [0, 0]


def test_a_network_that_takes_too_long_has_no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is computed at every second point only, and that is not what its score is of."""
    monkeypatch.setattr(exhibitor, "MOST_OPERATIONS", 2e4)
    signal = grid_signal(np.random.default_rng(0).uniform(-1, 1, (20, 20, 1)), "image")
    config = vi3nr_config(activation("sine"), (2, 8, 8, 1), sigma_p=1.0)
    weights = np.concatenate([p.detach().numpy().reshape(-1) for p in INR.from_config(config, seed=0).parameters()])
    (made,) = exhibits([Trained("sine", "a", "finalist", config, 0, weights)], [signal])
    assert made.stride == 2
    assert made.metrics == {}
