"""A validated theory request -> moments, gain, condition and the stable sigma_p of one activation."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.inits import scale_of
from service.plans import family_errors, scale_errors
from service.problems import Problem
from service.schemas_theory import TheoryRequest
from vi3nr.activations import activation
from vi3nr.families import Activation
from vi3nr.moments import moments
from vi3nr.theory import stable_sigma_p

__all__ = ["TheoryAnswer", "theory_of"]


class StableAnswer(BaseModel):
    """The sigma_p at which a hidden layer without bias keeps signal and gradient, and the kind of answer it is."""

    sigma_p: float | None = Field(description="null where there is none")
    kind: str = Field(
        description="root, several_roots (nearest to sigma_a), any, limit_at_0, limit_at_infinity, both_ends, none"
    )


class MomentsAnswer(BaseModel):
    """Moments under z ~ N(0, sigma_p^2), and what follows from them. For a complex f those of the moduli."""

    sigma_p: float
    rho: float = Field(description="sigma_p / sigma_a")
    mean: float = Field(description="E f(z)")
    second_moment: float = Field(description="E f(z)^2")
    slope_second_moment: float = Field(description="E f'(z)^2")
    methods: list[str] = Field(description="of these three: closed_form, quadrature or monte_carlo")
    standard_errors: list[float] | None = Field(description="of these three, where they were sampled")
    gain_squared: float = Field(description="sigma_p^2 / E f^2 = M Var W")
    condition: float = Field(description="sigma_p^2 width_ratio E f'^2 / E f^2: the gradient's factor of a layer")
    stability_bias_variance: float | None = Field(
        description="sigma_p^2 (1 - 1 / condition): with it both conditions hold; null where condition < 1"
    )


class TheoryAnswer(BaseModel):
    """What the theory says of an activation in hidden layers of one ratio of widths."""

    family: str
    formula: str
    sigma_a: float
    parameters: dict[str, float]
    width_ratio: float
    stable: StableAnswer
    at: MomentsAnswer


def theory_of(request: TheoryRequest) -> TheoryAnswer:
    """The theory's numbers.

    Raises:
        Problem: 422, naming every field that is wrong; or saying what cannot be computed.
    """
    errors = [*family_errors("", request), *scale_errors("", request)]
    if errors:
        raise Problem.of_fields(errors)
    try:
        phi = activation(request.family, scale_of(request), **request.parameters)
        stable = stable_sigma_p(phi, request.width_ratio)
        at = _at(phi, request.sigma_p or stable.sigma_p or phi.sigma_a, request)
    except (ValueError, ArithmeticError) as error:
        raise Problem(422, f"the theory has no numbers for this: {error}") from None
    return TheoryAnswer(
        family=request.family,
        formula=phi.formula,
        sigma_a=phi.sigma_a,
        parameters=phi.parameters,
        width_ratio=request.width_ratio,
        stable=StableAnswer(sigma_p=stable.sigma_p, kind=stable.kind),
        at=at,
    )


def _at(phi: Activation, sigma_p: float, request: TheoryRequest) -> MomentsAnswer:
    found = moments(phi, sigma_p, method=request.method)
    square = sigma_p * sigma_p
    gain = square / found.second_moment
    condition = gain * request.width_ratio * found.slope_second_moment
    return MomentsAnswer(
        sigma_p=sigma_p,
        rho=sigma_p / phi.sigma_a,
        mean=found.mean,
        second_moment=found.second_moment,
        slope_second_moment=found.slope_second_moment,
        methods=list(found.methods),
        standard_errors=None if found.standard_errors is None else list(found.standard_errors),
        gain_squared=gain,
        condition=condition,
        stability_bias_variance=square * (1.0 - 1.0 / condition) if condition >= 1.0 else None,
    )
