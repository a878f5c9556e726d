"""Whether a study's families can be trained at all, told before it is queued. It builds what the searches begin with,
from the library's theory alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.blobs import BlobStore, BlobsUnavailableError
from service.problems import FieldError, Problem, shown
from service.records import Dataset
from service.schemas import ActivationRequest, StudyRequest
from vi3nr.signals import Signal
from workers.plan import FamilyPlan, StudyPlan
from workers.search_space import SearchSpace
from workers.seeds import moment_seed

__all__ = ["check_start"]


def check_start(plan: StudyPlan, request: StudyRequest, dataset: Dataset, blobs: BlobStore) -> None:
    """Refuse families none of whose start configs can be built: a formula without moments where its search begins.

    The dataset's first signal stands for all of them. Where its bytes cannot be had now nothing is checked; the runner
    then tells what it finds.

    Raises:
        Problem: 422, naming each such activation and why.
    """
    try:
        signal = Signal.from_bytes(blobs.get(dataset.blob_key))
    except (KeyError, BlobsUnavailableError):
        return
    errors = list(_errors(plan, request.activations, signal))
    if errors:
        raise Problem.of_fields(errors)


def _errors(plan: StudyPlan, asked: list[ActivationRequest], signal: Signal) -> Iterator[FieldError]:
    for place, (family, activation) in enumerate(zip(plan.families, asked, strict=True)):
        message = _untrainable(plan, family, signal)
        if message is not None:
            value = shown(activation.model_dump(mode="json", exclude_defaults=True))
            yield FieldError(field=f"activations[{place}]", value=value, message=message)


def _untrainable(plan: StudyPlan, family: FamilyPlan, signal: Signal) -> str | None:
    """What to say of a family with which no search could begin; None of any other."""
    widths = plan.network.widths(signal.coordinates.shape[1], signal.values.shape[1])
    reasons = []
    try:
        space = SearchSpace.for_family(family, signal)
        for params in space.start(signal):
            try:
                space.config(
                    params, widths, input_second_moment=signal.input_second_moment, method=plan.method,
                    seed=moment_seed(plan.seed, family.family),
                )  # fmt: skip
            except (ValueError, ArithmeticError) as error:
                reasons.append(str(error))
            else:
                return None
    except ValueError as error:  # the ranges, or a signal without a spectrum
        return f"its search cannot begin: {error}"
    return f"none of the init configs that its search starts from can be built; the first: {reasons[0]}"
