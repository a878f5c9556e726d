"""A short round of ``benchmarks.chaos``: real processes and a real PostgreSQL, with trainers that train nothing."""

import json

import pytest

from benchmarks import chaos
from benchmarks.chaos_house import House
from benchmarks.chaos_witness import Witness

FAULTS = ("kill the API", "restart PostgreSQL", "kill a trainer", "clock jump")


@pytest.mark.timeout(600)
def test_a_round_loses_nothing_and_leaves_nothing_behind(monkeypatch):
    """The API, a trainer and PostgreSQL are killed and the clock jumps while two studies run: both end, with exactly
    the trials asked for and the answer of an undisturbed run; afterwards no process, port or folder is left."""
    monkeypatch.setattr(chaos, "PATIENCE", 400.0)
    known = chaos.undisturbed("idle", seeds=(0,))
    with House("postgresql", "idle") as house:
        played = chaos.play(house, seed=0, number=0, known=known, only=FAULTS)
    assert len(played["faults"]) == len(FAULTS)
    assert not [fault for fault in played["faults"] if "could not be done" in fault]
    assert {name: played[name] for name in chaos.COUNTS} == dict.fromkeys(chaos.COUNTS, 0), played["notes"]
    assert played["studies"] == 2
    assert house.left == []
    assert not house.folder.exists()


def test_rounds_on_record_are_not_done_again(tmp_path, capsys):
    """With every round of its seed on record the command only adds them up, and ends with status 1 if one was bad."""
    record = tmp_path / "rounds.jsonl"
    one = {"database": "sqlite", "trainer": "idle", "seed": 3, "faults": ["1.0 s clock jump (+3600 s)"], "studies": 2}
    one |= dict.fromkeys(chaos.COUNTS, 0) | {"seconds": 9.0, "notes": []}
    lines = [one | {"round": 0}, one | {"round": 1, "lost_trials": 1, "left_behind": ["port 1"]}, one | {"seed": 4}]
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ["--rounds", "2", "--db", "sqlite", "--trainer", "idle", "--seed", "3", "--record", str(record), "--json"]
    assert chaos.main(words) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["rounds"], told["studies"], told["lost_trials"], told["left_behind"]) == (2, 4, 1, 1)
    assert told["faults"] == {"clock jump": 2}


def test_a_witness_notes_what_is_taken_back():
    """A finished trial that is running again or has another score, and an ended study with another end, are noted."""
    witness = Witness("http://localhost:1")
    witness._take([("s", "sine", 0, "complete", 20.0), ("s", "sine", 1, "running", None)])
    witness._end("s", ("completed", {"a": 1}))
    assert witness.surprises == []
    witness._take([("s", "sine", 0, "complete", 21.0)])
    witness._take([("s", "sine", 0, "running", None)])
    witness._end("s", ("completed", {"a": 2}))
    assert len(witness.surprises) == 3
    witness.close()
