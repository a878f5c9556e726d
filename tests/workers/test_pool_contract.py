"""What every pool promises: ``LocalPool`` and ``RayPool`` under the same tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import psutil
import pytest

from vi3nr.activations import activation
from vi3nr.baselines import baseline_config
from vi3nr.ensemble.cpu import CpuEnsemble
from vi3nr.ensemble.interface import Member, Progress, Recipe
from vi3nr.signals import Signal
from workers.hardware import model_of
from workers.pool import Admission, DeviceLost, Group, Pool, Turn, TurnDone
from workers.pool_local import LocalPool
from workers.pool_ray import RayPool

WIDTHS = (2, 8, 8, 1)
RECIPE = Recipe(steps=10**9)
GROUP = Group("signal", WIDTHS, "gaussian", RECIPE)
ENDLESS = 10**9  # steps; only a killed trainer ends such a turn


def a_signal(seed: int = 0) -> Signal:
    rng = np.random.default_rng(seed)
    x, y = (rng.uniform(-1, 1, (100, columns)).astype(np.float32) for columns in (2, 1))
    return Signal(x, y, "image", (10, 10))


@dataclass
class Case:
    """A pool under test, how its devices are killed, and names for members that no other test has used."""

    pool: Pool
    kill: Callable[[str], None]
    processes: Callable[[], Iterable[int]]  # that train
    names: Iterator[str]

    def turn(self, steps: int, *, until: int = ENDLESS, group: Group = GROUP) -> Turn:
        config = baseline_config("xavier", activation("gaussian", 0.3), WIDTHS)
        return Turn((Admission(group, Member(next(self.names), config, 3, 1e-3, until)),), (), steps)

    def outcomes(self, count: int = 1) -> list[TurnDone | DeviceLost]:
        """The next ``count`` outcomes of turns that have been started."""
        found: list[TurnDone | DeviceLost] = []
        while len(found) < count:
            found += self.pool.wait(60.0)
        return found

    def until_there_are(self, devices: int) -> list[str]:
        """Wait until so many devices are alive, and name them."""
        while len(self.pool.devices()) < devices:
            self.pool.wait(60.0)
        return [device.id for device in self.pool.devices()]


def _names() -> Iterator[str]:
    number = 0
    while True:
        yield f"member {number}"
        number += 1


def _variables() -> dict[str, str]:
    """Those of the environment that say how Ray connects."""
    return {name: os.environ[name] for name in os.environ if name.startswith(("RAY_AUTH", "RAY_ENABLE"))}


@pytest.fixture(scope="module", params=["local", "ray"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "local":
        local = LocalPool(devices=2)
        yield Case(local, local.lose, lambda: [os.getpid()], _names())
        local.close()
        return
    others = set(psutil.Process().children(recursive=True))  # of other tests of the same session
    environment = _variables()
    ray = RayPool(cpus=2)
    try:
        yield Case(
            ray, lambda device: os.kill(ray.pids()[device], signal.SIGKILL), lambda: ray.pids().values(), _names()
        )
    finally:
        before = set(psutil.Process().children(recursive=True)) - others
        ray.close()
        assert psutil.wait_procs(before, timeout=60)[1] == []  # close leaves no process
        assert _variables() == environment  # nor what a process that is started later could not join a cluster with


@pytest.fixture(autouse=True)
def _published(case: Case) -> Iterator[None]:
    """Each test finds the signal published and both devices alive and empty."""
    case.pool.publish("signal", a_signal())
    case.until_there_are(2)
    yield
    case.pool.withdraw("signal")


def alone(*segments: int, until: int = ENDLESS) -> list[Progress]:
    """What the ensemble itself reports for the same member."""
    ensemble = CpuEnsemble(a_signal(), widths=WIDTHS, family="gaussian", recipe=RECIPE, capacity=1)
    ensemble.admit(Member("alone", baseline_config("xavier", activation("gaussian", 0.3), WIDTHS), 3, 1e-3, until))
    return [ensemble.advance(steps)[0] for steps in segments]


def done(outcome: TurnDone | DeviceLost) -> Progress:
    assert isinstance(outcome, TurnDone), outcome
    (progress,) = outcome.progress
    return progress


def test_a_device_has_its_makers_name(case: Case) -> None:
    """So that a report says where its study was run."""
    assert {device.name for device in case.pool.devices()} == {f"CPU ({model_of('cpu')})"}
    assert model_of("cpu").strip()


def test_a_turn_trains_as_the_ensemble_alone(case: Case) -> None:
    """Two turns report what two segments of an ensemble report, and the state comes back whole."""
    first, second = alone(5, 7, until=12)
    device = case.pool.devices()[0].id
    case.pool.start(device, case.turn(5, until=12))
    got = done(case.outcomes()[0])
    assert (got.step, got.score, got.finished, got.state) == (5, first.score, False, None)
    case.pool.start(device, Turn((), (), 7))
    got = done(case.outcomes()[0])
    assert (got.step, got.score, got.finished) == (12, second.score, True)
    np.testing.assert_array_equal(got.state.parameters, second.state.parameters)


def test_two_devices_play_at_once(case: Case) -> None:
    """Turns that are started on two devices both end, each under its own device's name."""
    names = case.until_there_are(2)
    for name in names:
        case.pool.start(name, case.turn(4, until=4))
    outcomes = case.outcomes(2)
    assert {outcome.device_id for outcome in outcomes} == set(names)
    assert {done(outcome).score for outcome in outcomes} == {alone(4)[0].score}


def test_a_device_plays_one_turn_at_a_time(case: Case) -> None:
    """A second turn, a device that is not there and a signal that was not published are refused with ValueError."""
    device = case.pool.devices()[0].id
    with pytest.raises(ValueError, match="'elsewhere' is not in the pool"):
        case.pool.start("elsewhere", case.turn(1))
    with pytest.raises(ValueError, match="'unheard' was not published"):
        case.pool.start(device, case.turn(1, group=Group("unheard", WIDTHS, "gaussian", RECIPE)))
    case.pool.start(device, case.turn(2, until=2))
    with pytest.raises(ValueError, match="is playing a turn already"):
        case.pool.start(device, case.turn(1))
    assert done(case.outcomes()[0]).step == 2


def test_a_lost_device_is_reported_once_and_replaced(case: Case) -> None:
    """What dies in the middle of a turn comes back as one DeviceLost; a device with a new id takes its place, knows
    the signal, and starts empty.
    """
    lost, other = case.until_there_are(2)
    case.pool.start(lost, case.turn(ENDLESS))
    case.kill(lost)
    (outcome,) = case.outcomes()
    assert isinstance(outcome, DeviceLost)
    assert outcome.device_id == lost
    assert lost in outcome.error
    names = case.until_there_are(2)
    assert lost not in names
    assert other in names
    (new,) = set(names) - {other}
    case.pool.start(new, case.turn(4, until=4))
    assert done(case.outcomes()[0]).score == alone(4)[0].score
    assert case.pool.wait(0.0) == []


def test_an_exception_in_a_trainer_costs_the_device_only(case: Case) -> None:
    """A turn that a trainer refuses is a DeviceLost that says why, and the pool goes on."""
    device = case.pool.devices()[0].id
    case.pool.start(device, case.turn(1, group=Group("signal", (2, 9, 9, 1), "gaussian", RECIPE)))
    (outcome,) = case.outcomes()
    assert isinstance(outcome, DeviceLost)
    assert "widths" in outcome.error
    assert device not in case.until_there_are(2)


def test_withdrawing_a_signal_frees_what_uses_it(case: Case) -> None:
    """Members on a withdrawn signal are gone, their slot is free, and the key can be published with other contents."""
    device = case.pool.devices()[0].id
    case.pool.start(device, case.turn(3))
    first = done(case.outcomes()[0])
    case.pool.withdraw("signal")
    case.pool.start(device, Turn((), (), 3))
    assert case.outcomes() == [TurnDone(device, ())]
    case.pool.publish("signal", a_signal(seed=1))
    case.pool.start(device, case.turn(3, until=3))
    assert done(case.outcomes()[0]).score != first.score


def test_an_evicted_member_makes_room(case: Case) -> None:
    """Evicting and admitting in one turn works on a device with one slot."""
    device = case.pool.devices()[0].id
    turn = case.turn(3)
    case.pool.start(device, turn)
    done(case.outcomes()[0])
    following = case.turn(4, until=4)
    case.pool.start(device, Turn(following.admit, (turn.admit[0].member.key,), 4))
    progress = done(case.outcomes()[0])
    assert (progress.key, progress.score) == (following.admit[0].member.key, alone(4)[0].score)


def test_a_signal_is_held_once(case: Case) -> None:
    """Once published, a signal is nobody's own: training on it adds less than half of its size to a process."""

    def train(group: Group) -> None:
        for name in names:
            case.pool.start(name, case.turn(1, until=1, group=group))
        for outcome in case.outcomes(len(names)):
            assert isinstance(outcome, TurnDone)

    def own() -> list[int]:
        return [psutil.Process(pid).memory_full_info().uss for pid in case.processes()]

    names = case.until_there_are(2)
    x, y = (np.random.default_rng(0).uniform(-1, 1, (2**20, axes)).astype(np.float32) for axes in (2, 1))
    case.pool.publish("large", Signal(x, y, "image", (2**10, 2**10)))
    train(GROUP)
    before = own()
    train(replace(GROUP, signal_key="large"))
    assert max(after - then for after, then in zip(own(), before, strict=True)) < (x.nbytes + y.nbytes) / 2
    case.pool.withdraw("large")
