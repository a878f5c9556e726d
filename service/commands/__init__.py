"""The commands, a module for each subject. What a command needs is imported when it runs, so that ``vi3nr --help`` and
``vi3nr init`` answer at once.
"""

from __future__ import annotations

import typer

from service.commands import (
    answers,
    database,
    datasets,
    doctor,
    keys,
    processes,
    search,
    secrets,
    studies,
    theory,
)

__all__ = ["app"]

EXIT_STATUSES = (
    "Exit status: 0 done; 1 done, and the answer is bad news (a fault found, a study without an answer); "
    "2 asked wrongly, or refused; 3 the service cannot be reached, or failed; 130 interrupted."
)
app = typer.Typer(
    help="Find the initialisation that suits your signal: variance-informed, searched, and confirmed.",
    epilog=EXIT_STATUSES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(processes.serve)
app.command()(search.search)
app.command("init")(theory.init_config)
app.command()(theory.theory)
app.command()(answers.report)
app.command()(answers.export)
app.command()(doctor.doctor)
app.command()(processes.demo)
for group, name in (
    (studies.studies, "studies"),
    (datasets.datasets, "datasets"),
    (database.database, "db"),
    (keys.keys, "key"),
    (secrets.secrets, "secrets"),
):
    app.add_typer(group, name=name)
for part in (processes.api, processes.runner, processes.dashboard):
    app.command()(part)
