"""The start page: a form whose families come from the API, and the list of studies."""

from __future__ import annotations

from service.pages.assets import render
from service.reading.kinds import KINDS
from service.schemas import Confirm, NetworkRequest, Search, Training
from service.settings import Settings

__all__ = ["SCRIPT", "start_page"]

SCRIPT = "start.js"


def start_page(settings: Settings) -> str:
    """The page as HTML; defaults are those of ``POST /v1/studies``, limits those of the settings."""
    network, training, search, confirm = NetworkRequest(), Training(), Search(), Confirm()
    numbers = [
        ("trials", "Trials a family", search.trials, 1, settings.max_trials),
        ("steps", "Steps of a training", training.steps, 1, settings.max_steps),
        ("width", "Units of a hidden layer", network.width, 1, settings.max_width),
        ("hidden_layers", "Hidden layers", network.hidden_layers, 1, settings.max_hidden_layers),
        ("finalists", "Finalists a family", confirm.finalists, 1, settings.max_finalists),
        ("seeds", "Seeds of the confirmation", confirm.seeds, 2, settings.max_seeds),
        ("seed", "Seed of the search", search.seed, 0, 2**53 - 1),
    ]
    return render("start.html", SCRIPT, numbers=numbers, kinds=KINDS)
