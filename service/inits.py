"""A validated init request -> the init config, by theory alone."""

from __future__ import annotations

from service.plans import family_errors, network_errors, scale_errors
from service.problems import Problem
from service.schemas import FixedShare, InitRequest
from service.settings import Settings
from vi3nr.activations import activation, family_of
from vi3nr.config import BiasRule, InitConfig
from vi3nr.profile import vi3nr_config
from workers.plan import Network

__all__ = ["init_of"]


def init_of(request: InitRequest, settings: Settings) -> InitConfig:
    """The VI3NR config that is asked for.

    Raises:
        Problem: 422, naming every field that is wrong; or saying what the theory cannot do with these numbers.
    """
    errors = [
        *network_errors(request, settings),
        *family_errors("", request),
        *scale_errors("", request),
    ]
    if errors:
        raise Problem.of_fields(errors)
    sigma_a = request.sigma_a
    if request.omega is not None:
        sigma_a = family_of(request.family).aliases["omega"] / request.omega
    network = Network(request.network.width, request.network.hidden_layers)
    try:
        return vi3nr_config(
            activation(request.family, sigma_a, **request.parameters),
            network.widths(request.in_dim, request.out_dim),
            sigma_p=request.sigma_p,
            sigma_p_first=request.sigma_p_first,
            bias=_rule(request.bias),
            bias_first=_rule(request.bias_first),
            distribution=request.distribution,
            method=request.method,
            input_second_moment=request.input_second_moment,
        )
    except (ValueError, ArithmeticError) as error:
        raise Problem(422, f"there is no such init config: {error}") from None


def _rule(asked: FixedShare | str | None) -> BiasRule | None:
    if asked is None or isinstance(asked, str):
        return None if asked is None else BiasRule(asked)
    return BiasRule("share", asked.share)
