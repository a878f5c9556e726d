"""A database of version 0001 with studies in it is upgraded; what they hold is read in the new words."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text
from studies_to_store import config, plan, result

from service.database import VERSION_TABLE, upgrade
from service.migrations.ours import is_ours
from service.records import plan_json
from service.store import Store
from workers.objective import Objective
from workers.plan import Budget


def alembic(engine: Engine, to: str, run: Any) -> None:
    """One of Alembic's commands over an engine, as ``service.database.upgrade`` runs it."""
    made = Config()
    made.set_main_option("script_location", str(Path(str(is_ours.__globals__["__file__"])).parent))
    with engine.begin() as connection:
        made.attributes["connection"] = connection
        run(made, to)


def older_plan(study_id: str) -> dict[str, Any]:
    """A plan in the words of 0001: trials of its own, the objective a word."""
    rest = plan_json(plan(study_id))
    return {k: v for k, v in rest.items() if k not in ("budget", "race")} | {"trials": 7, "objective": "fit"}


def older_result() -> dict[str, Any]:
    """A result in the words of 0001: gains in dB, one learning rate a family."""
    made = json.loads(json.dumps(asdict(result()) | {"families": []}, default=str))
    family = asdict(result().families[0])
    arm = {k: v for k, v in family["winner"].items() if k not in ("learning_rate", "init_config")}
    arm["init_config"] = json.loads(config().to_json())
    comparison = {k: v for k, v in family["comparison"].items() if k != "gain"} | {
        "gain_db": family["comparison"]["gain"]
    }
    made["families"] = [family | {"winner": arm, "arms": [arm], "comparison": comparison}]
    made["metric"] = "PSNR over all points, data range 2"
    return {k: v for k, v in made.items() if k not in ("unit", "search_ended_by")}


INSERTED = (
    "INSERT INTO vi3nr_studies (id, dataset_id, state, request, plan, warnings, result, lease_number, created) "
    "VALUES (:id, 'd', :state, '{}', :plan, '[]', :result, 0, :created)"
)
DATASET = (
    "INSERT INTO vi3nr_datasets VALUES ('d', 'n', 'image', 'h', 16, 2, 3, '[4, 4]', "
    '\'{"original_size": [4, 4], "size": [4, 4], "max_points": 16, "notes": []}\', \'k\', 1.0)'
)


@pytest.fixture
def older(engine: Engine) -> Engine:
    """A database of version 0001 with a queued study and a completed one."""
    alembic(engine, "0001", command.upgrade)
    with engine.begin() as connection:
        connection.execute(text(DATASET))
        for study_id, state, answer in (("aa", "completed", json.dumps(older_result())), ("bb", "queued", None)):
            row = {"id": study_id, "state": state, "plan": json.dumps(older_plan(study_id)), "result": answer}
            connection.execute(text(INSERTED), row | {"created": 2.0})
    return engine


def test_older_studies_are_claimed_and_answered_after_the_upgrade(older: Engine) -> None:
    """The queued one's plan has its trials as a budget and races nobody; the completed one's answer is all there."""
    upgrade(older)
    store = Store(older)
    claim = store.claim("runner", 60.0)
    assert claim is not None
    assert (claim.id, claim.plan.budget, claim.plan.objective, claim.plan.race) == ("bb", Budget(7), Objective(), False)
    (stored,) = claim.dataset.signals  # moved into a list by 0003
    assert (stored.name, stored.blob_key, stored.shape, stored.points) == ("n", "k", (4, 4), 16)
    assert stored.meta["original_size"] == [4, 4]
    answer = store.result("aa")
    assert answer is not None
    expected = result()
    assert (answer.unit, answer.search_ended_by) == ("dB", "trials")
    family, wanted = answer.families[0], expected.families[0]
    assert family.comparison == wanted.comparison
    assert family.winner.learning_rate == wanted.learning_rate
    assert family.winner.init_config == config()


def test_older_studies_are_nobodys_kin(older: Engine) -> None:
    """They have no marks: no request is answered with them, no search starts from them."""
    upgrade(older)
    with older.connect() as connection:
        marks = connection.execute(text("SELECT fingerprint, kinship FROM vi3nr_studies")).all()
    assert [tuple(row) for row in marks] == [(None, None)] * 2


def test_the_columns_go_with_a_downgrade(older: Engine) -> None:
    """Back at 0001 the tables are as they were, rows and all."""
    upgrade(older)
    alembic(older, "0001", command.downgrade)
    columns = {column["name"] for column in inspect(older).get_columns("vi3nr_studies")}
    assert not {"fingerprint", "kinship"} & columns
    with older.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM vi3nr_studies")) == 2
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "0001"
