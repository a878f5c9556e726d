"""What a study's request says about its surface."""

from __future__ import annotations

import pytest

from service.pages import words
from service.records import Study
from service.states import StudyState
from service.surfaces import fixed_sigma_a, own_sigma_p, theory_of


@pytest.mark.parametrize(
    ("asked", "scale"),
    [
        ({"family": "gaussian"}, None),
        ({"family": "gaussian", "sigma_a": {"low": 0.01, "high": 0.1}}, None),
        ({"family": "gaussian", "sigma_a": 0.05}, 0.05),
        ({"family": "sine", "omega": {"low": 10.0, "high": 60.0}}, None),
        ({"family": "sine", "omega": 25.0}, 0.04),
        ({"family": "wire", "sigma_a": 0.1, "parameters": {"omega": 5.0}}, 0.1),
        ({"family": "wire", "parameters": {"s": 10.0, "omega": 5.0}}, 0.5**0.5 / 10.0),
        ({"family": "relu"}, 1.0),
    ],
)
def test_a_scale_that_is_fixed_is_known_by_whatever_name(asked, scale):
    """None where it is searched; a family without a scale has 1."""
    found = fixed_sigma_a(a_study(asked), asked["family"])
    assert found == (None if scale is None else pytest.approx(scale))


def test_the_theory_is_asked_at_the_scale_itself():
    """Of the Gaussian sigma_p / sigma_a is the same everywhere; of FINER it grows with sigma_a."""
    ratios = {
        family: [theory_of(a_study({"family": family}), family)(a)[0] / a for a in (0.005, 0.1)]
        for family in ("gaussian", "finer")
    }
    assert ratios["gaussian"][0] == pytest.approx(ratios["gaussian"][1])
    assert ratios["finer"][1] > 2 * ratios["finer"][0]


def test_what_the_note_says_of_the_theory_is_at_one_scale():
    """The winner's, else the one asked for, else a customary one."""
    fixed, free = a_study({"family": "gaussian", "sigma_a": 0.04}), a_study({"family": "gaussian"})
    assert own_sigma_p(fixed, "gaussian", 0.1).sigma_a == 0.1
    assert own_sigma_p(fixed, "gaussian", None).sigma_a == 0.04
    assert own_sigma_p(free, "gaussian", None).sigma_a == 0.05
    none = own_sigma_p(a_study({"family": "sine"}), "sine")  # its two conditions meet nowhere
    assert (none.sigma_p, none.kind) == (None, "limit_at_0")
    assert "every sigma_p keeps" in words.theory("relu", "any", None)
    assert "for real pre-activations" in words.theory("wire", "root", 0.04)


def a_study(asked):
    """One that asks for this activation."""
    request = {"activations": [asked]}
    return Study("s", "d", StudyState.RUNNING, request, (asked["family"],), (), None, None, None, 0.0, None, None)
