"""No transition but those of the table can be made, whatever is called in what order; over both databases."""

from __future__ import annotations

from itertools import count

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, event, select, text
from sqlalchemy.orm import Session
from studies_to_store import EXPIRED, LONG, dataset, note, plan, queued, result, run

from service.database import writing
from service.models import RunRow, StudyRow
from service.records import LeaseLost
from service.states import FINISHED, TRANSITIONS, StudyState
from service.store import Store, new_id
from service.store_studies import changed, transition

S = StudyState
HELD = (S.RUNNING, S.CANCELLING)


def move(engine: Engine, study_id: str, **columns: object) -> None:
    """Put a row into a state from outside."""
    words = ", ".join(f"{name} = {value}" for name, value in columns.items())
    with writing(engine).begin() as connection:
        connection.execute(text(f"UPDATE vi3nr_studies SET {words} WHERE id = '{study_id}'"))


@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_transition_starts_in_its_sources_and_nowhere_else(engine: Engine, store: Store, name: str) -> None:
    """From each of the six states: the conditional update finds its row exactly where the table allows it."""
    study_id = queued(store)
    for state in StudyState:
        move(engine, study_id, state=f"'{state.value}'")
        with Session(writing(engine)) as session, session.begin():
            done = changed(session, transition(name, study_id))
        assert done == (state in TRANSITIONS[name].sources)
        study = store.study(study_id)
        assert study is not None
        assert study.state is (TRANSITIONS[name].target if done else state)


ENDS = {
    "complete": lambda store, study, lease: store.complete(study, lease, result()),
    "fail": lambda store, study, lease: store.fail(study, lease, "no"),
    "cancelled": lambda store, study, lease: store.cancelled(study, lease),
}


class AnyOrder(RuleBasedStateMachine):
    """Clients, runners alive and thought dead, and a clock that jumps, against a model of what may happen."""

    engine: Engine
    replicates = count()

    @initialize()
    def begin(self) -> None:
        self.store = Store(self.engine)
        self.study = new_id()
        self.store.add_study(plan=plan(self.study), dataset_id=dataset(self.store), request={})
        self.state, self.lease, self.free, self.runs, self.progress = S.QUEUED, 0, True, 0, None

    def holds(self, lease: int) -> bool:
        return self.state in HELD and lease == self.lease

    @rule(alive=st.booleans())
    def claim(self, alive: bool) -> None:
        taken = self.store.claim("a runner", LONG if alive else EXPIRED, only=self.study)
        assert (taken is not None) == (self.state is S.QUEUED or (self.state in HELD and self.free))
        if taken is not None:
            self.state = S.RUNNING if self.state is S.QUEUED else self.state
            self.lease, self.free = self.lease + 1, not alive
            assert taken.lease_number == self.lease

    @precondition(lambda self: not self.free)  # a second jump could take the first one back
    @rule(jump=st.sampled_from([-3600, 3600]))
    def the_clock_jumps(self, jump: int) -> None:
        move(self.engine, self.study, lease_until=f"lease_until - {jump}")
        self.free = True  # it has run out, or lies further ahead than any lease

    @rule()
    def cancel(self) -> None:
        self.store.request_cancel(self.study)
        self.state = {S.QUEUED: S.CANCELLED, S.RUNNING: S.CANCELLING}.get(self.state, self.state)

    @rule(back=st.integers(0, 2))
    def renew(self, back: int) -> None:
        word = self.store.renew(self.study, self.lease - back, LONG)
        if not self.holds(self.lease - back):
            assert word == "lost"
        else:
            assert word == ("cancelling" if self.state is S.CANCELLING else "ok")
            self.free = False

    @rule(back=st.integers(0, 2))
    def give_back(self, back: int) -> None:
        if self.attempt(self.lease - back, lambda lease: self.store.release(self.study, lease)):
            self.state, self.free = (S.QUEUED if self.state is S.RUNNING else self.state), True

    @rule(back=st.integers(0, 2))
    def record(self, back: int) -> None:
        made = run(self.study, next(self.replicates))
        if self.attempt(self.lease - back, lambda lease: self.store.record_run(self.study, lease, made)):
            self.runs += 1

    @rule(back=st.integers(0, 2), done=st.integers(1, 99))
    def tell(self, back: int, done: int) -> None:
        if self.attempt(self.lease - back, lambda lease: self.store.record_progress(self.study, lease, note(done))):
            self.progress = note(done)

    @rule(back=st.integers(0, 2), name=st.sampled_from(sorted(ENDS)))
    def end(self, back: int, name: str) -> None:
        lease = self.lease - back
        allowed = self.holds(lease) and self.state in TRANSITIONS[name].sources
        self.attempt(lease, lambda lease: ENDS[name](self.store, self.study, lease), allowed)
        if allowed:
            self.state = TRANSITIONS[name].target

    def attempt(self, lease: int, write, allowed: bool | None = None) -> bool:
        allowed = self.holds(lease) if allowed is None else allowed
        try:
            write(lease)
        except LeaseLost:
            assert not allowed
            return False
        assert allowed
        return True

    @invariant()
    def the_record_is_the_models(self) -> None:
        if not hasattr(self, "study"):
            return
        with Session(self.engine) as session:
            row = session.get_one(StudyRow, self.study)
            assert (row.state, row.lease_number) == (self.state, self.lease)
            assert len(session.scalars(select(RunRow.id).where(RunRow.study_id == self.study)).all()) == self.runs
            assert (row.finished is not None) == (self.state in FINISHED)
            assert (row.result is not None) == (self.state is S.COMPLETED)
            assert (row.error is not None) == (self.state is S.FAILED)
        study = self.store.study(self.study)
        assert study is not None
        assert study.progress == self.progress


def test_no_order_of_calls_makes_an_illegal_transition(engine: Engine, store: Store) -> None:
    """Clients and runners call in any order, some under leases that are lost, while the clock jumps: the record is the
    model's after every call, and each statement that sets a state is conditional on the state before."""
    statements = set()
    event.listen(engine, "before_cursor_execute", lambda _c, _u, statement, *_: statements.add(statement))
    machine = type("AnyOrderHere", (AnyOrder,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking a failure takes minutes
        ),
    )
    setting = [s for s in statements if s.startswith("UPDATE vi3nr_studies SET state=")]
    assert setting
    for statement in setting:
        assert "vi3nr_studies.state IN" in statement.partition("WHERE")[2]
