"""The search phase of one family: trials trained to the search horizon or pruned, and the best ones' states kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vi3nr.activations import family_of
from vi3nr.config import InitConfig
from vi3nr.ensemble.interface import Member, MemberState, Progress
from workers.arms import bias_label
from workers.events import Event, TrialFinished
from workers.jobs import MAX_ATTEMPTS, Job, Setting
from workers.outcomes import Asked, Outcome
from workers.race import BY_CLOCK, Contender
from workers.search import FamilySearch
from workers.search_policy import pruning_steps
from workers.search_space import SearchSpace
from workers.tours import on_line

__all__ = ["Moments", "TrialPhase"]

PART_AT_ONCE = 4  # one over it of a family's trials may run at once, however many slots there are
MAX_DROPPED = 5  # trials that lost their trainer at every attempt, before the study gives up


@dataclass(frozen=True)
class Moments:
    """How a config's moments are computed: the coordinates' second moment, the method, and Monte Carlo's seed."""

    input_second_moment: float
    method: str
    seed: int


@dataclass
class _Live:
    asked: Asked
    config: InitConfig
    signal: int = 0
    step: int = 0  # on this signal
    seconds: float = 0.0
    states: dict[int, MemberState] = field(default_factory=dict)  # by signal


class TrialPhase:
    """Asks only when called for a free slot, counts an order once, and knows its finalists when it is done.

    When to ask and when to end is the study's decision.

    What has happened is appended to ``outbox``.
    """

    def __init__(
        self,
        setting: Setting,
        search: FamilySearch,
        space: SearchSpace,
        moments: Moments,
        *,
        trials: int,
        search_steps: int,
        finalists: int,
        outbox: list[Event],
    ) -> None:
        """``trials`` is the family's share of the budget; where nothing is searched one is all there is to try."""
        self._setting, self._search, self._space, self._moments = setting, search, space, moments
        self.share = trials if space.distributions() else 1
        self._steps, self._finalists, self._outbox = search_steps, finalists, outbox
        self._segment = setting.segment(search_steps)
        self._over: str | None = None
        self._live: dict[str, _Live] = {}
        self._between: deque[_Live] = deque()  # trials that wait for a slot to train on their next signal
        self._states: dict[int, dict[int, MemberState]] = {}  # by order and signal, of the present best only

    @property
    def ended(self) -> str | None:
        """The limit that ended the search; None while it goes on."""
        return self._search.ended or self._over

    @property
    def done(self) -> bool:
        """Whether the search has ended and nothing of it is still training."""
        return self.ended is not None and not self.running

    def judge(self, ended: str | None) -> None:
        """Take the study's verdict: the limit that is spent, or that the search goes on."""
        self._over = ended
        if ended in BY_CLOCK:
            self._search.end(ended)

    def contender(self, *, race: bool) -> Contender:
        """How the family stands in the race for the next trial.

        It is busy while as many trials run as it has start points, or a quarter of its share if that is more: a search
        whose trials all run at once learns nothing from them.
        """
        search, asked = self._search, self.finished + self.running
        equal = -(-self.share // 2) if race else self.share
        equal = max(equal, min(search.start_points, 2 * equal))
        busy = self.running >= max(search.start_points, -(-self.share // PART_AT_ONCE))
        closed = asked > 0 and not self._space.distributions()
        return Contender(asked, equal, search.promise, search.expected_best, busy, closed)

    @property
    def input_second_moment(self) -> float:
        """E x^2 of the coordinates."""
        return self._moments.input_second_moment

    @property
    def running(self) -> int:
        """Trials that have begun and not ended."""
        return len(self._live) + len(self._between)

    @property
    def finished(self) -> int:
        """Trials that count."""
        return len(self._search.outcomes)

    @property
    def steps_done(self) -> int:
        """Member steps behind us; a pruned trial has saved its remaining ones and counts whole."""
        return self.finished * self._steps * self._setting.fitted + self._steps_running

    @property
    def steps_trained(self) -> int:
        """Member steps that were really made."""
        finished = sum(outcome.curve[-1][0] for outcome in self._search.outcomes if outcome.curve)
        return finished + self._steps_running

    @property
    def steps_ahead(self) -> int:
        """Member steps that the running trials still have to make, if none of them is pruned."""
        return self.running * self._steps * self._setting.fitted - self._steps_running

    @property
    def _steps_running(self) -> int:
        return sum(on_line(live.signal, live.step, self._steps) for live in self._begun)

    @property
    def _begun(self) -> list[_Live]:
        return [*self._live.values(), *self._between]

    @property
    def seconds(self) -> float:
        """Device seconds of finished and running trials."""
        finished = sum(outcome.seconds for outcome in self._search.outcomes)
        return finished + sum(live.seconds for live in self._begun)

    def ranking(self) -> list[Outcome]:
        """The trials that reached the search horizon, best first; those whose config was impossible are left out."""
        complete = [outcome for outcome in self._search.outcomes if _reached(outcome)]
        return sorted(complete, key=lambda outcome: (-outcome.score, outcome.order))

    def finalists(self) -> list[Outcome]:
        """The best few; none of a family that could not be trained."""
        return self.ranking()[: self._finalists]

    @property
    def untrainable(self) -> str | None:
        """Why no trial reached the search horizon, as a sentence; None while the search goes on and where one did."""
        if not self.done or any(_reached(outcome) for outcome in self._search.outcomes):
            return None
        notes = [outcome.note for outcome in self._search.outcomes if outcome.note]
        reason = notes[-1] if notes else "all were pruned"
        return f"no trial of {self._setting.family} reached the search horizon: {reason}"

    def learning_rate(self, params: Mapping[str, float]) -> float:
        """The rate that a trial of these numbers trains at."""
        return self._space.learning_rate(params)

    def config(self, params: Mapping[str, float]) -> InitConfig:
        """The init config of searched numbers."""
        moments = self._moments
        return self._space.config(
            params,
            self._setting.widths,
            input_second_moment=moments.input_second_moment,
            method=moments.method,
            seed=moments.seed,
        )

    def states(self, order: int) -> Mapping[int, MemberState]:
        """A finalist's training state at the search horizon by signal, if this process still has it."""
        return self._states.get(order, {})

    def next_job(self) -> Job | None:
        """Ask for a trial and make it a member. Only for a free slot.

        None where the config cannot be built (its biases leave the weights no variance): the trial has then ended with
        the worst score.
        """
        asked = self._search.ask()
        try:
            config = self.config(asked.params)
        except (ValueError, ArithmeticError) as error:
            self._tell(self._search.finish(asked.number, note=str(error)))
            return None
        self._search.describe(asked.number, self._facts(config))
        return self._job(_Live(asked, config))

    def next_signal(self) -> Job | None:
        """A trial that goes on with its next signal; None if there is none. Only for a free slot."""
        return self._job(self._between.popleft()) if self._between else None

    def _job(self, live: _Live) -> Job:
        asked, signal = live.asked, live.signal
        key = f"{self._setting.study_id} {self._setting.family} trial {asked.number}"
        key += f" signal {signal}" if signal else ""
        self._live[key] = live
        member = Member(key, live.config, asked.seed, self._space.learning_rate(asked.params), self._steps)
        decisions = frozenset() if signal else pruning_steps(self._steps)
        return Job.of(self._setting, member, self._steps, decisions, signal)

    def absorb(self, progress: Progress) -> bool:
        """Take a report in; True if the trial is pruned and has to leave its slot."""
        live = self._live[progress.key]
        live.step, live.seconds = progress.step, live.seconds + progress.seconds
        number = live.asked.number
        psnr = self._setting.objective.reading(progress)
        if not progress.finished and progress.step % self._segment:
            return False  # a turn cut short for a neighbour on the same device
        prune = self._search.report(number, on_line(live.signal, progress.step, self._steps), psnr)
        if not (progress.finished or prune):
            return False
        del self._live[progress.key]
        if progress.state is not None:
            live.states[live.signal] = progress.state
        if not prune and live.signal + 1 < self._setting.fitted:
            live.signal, live.step = live.signal + 1, 0
            self._between.append(live)
            return False
        self._search.describe(number, {"best_score": progress.best_score, "best_step": progress.best_step})
        if prune:
            self._tell(self._search.prune(number, seconds=live.seconds))
            return not progress.finished
        self._tell(self._search.finish(number, seconds=live.seconds))
        self._keep(live.asked.order, live.states)
        return False

    def lost(self, key: str) -> None:
        """A trial's trainer died. Raises RuntimeError when that happens to trial after trial."""
        number = self._live.pop(key).asked.number
        self._search.fail_and_retry(number)
        self._outbox.append(TrialFinished(self._setting.study_id, self._setting.family, number, "failed", None))
        if self._search.dropped >= MAX_DROPPED:
            raise RuntimeError(
                f"{self._search.dropped} trials of {self._setting.family} lost their trainer {MAX_ATTEMPTS} times each"
            )

    def close(self) -> None:
        """Leave no trial running in the record."""
        self._live.clear()
        self._between.clear()
        self._search.close()

    def holds(self, key: str) -> bool:
        """Whether this member is one of the running trials."""
        return key in self._live

    def _tell(self, outcome: Outcome) -> None:
        setting = self._setting
        event = TrialFinished(setting.study_id, setting.family, outcome.number, outcome.state, outcome.score)
        self._outbox.append(event)

    def _keep(self, order: int, states: dict[int, MemberState]) -> None:
        """Keep a trial's states while it is among the best; the others' are let go."""
        best = {outcome.order for outcome in self.ranking()[: self._finalists]}
        self._states = {o: kept for o, kept in {**self._states, order: states}.items() if o in best}

    def _facts(self, config: InitConfig) -> dict[str, Any]:
        """What a person wants to read on a trial besides the searched axes."""
        facts: dict[str, Any] = {"sigma_a": config.sigma_a, "sigma_p": config.sigma_p}
        facts |= {"sigma_p_first": config.sigma_p_first, "bias_first": bias_label(config)}
        aliases = family_of(config.family).aliases
        return facts | {alias: constant / config.sigma_a for alias, constant in aliases.items()}


def _reached(outcome: Outcome) -> bool:
    """Whether a trial was trained to the search horizon."""
    return outcome.state == "complete" and outcome.note is None
