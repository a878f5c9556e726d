"""The snippets of docs/library.md run as they stand."""

import re
from pathlib import Path

import torch

PAGE = Path(__file__).resolve().parents[2] / "docs" / "library.md"


def test_every_snippet_runs_in_order(capsys) -> None:
    """One after the other in one namespace, without a warning; the error shown is the one that the page quotes."""
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(snippets) > 5
    names: dict[str, object] = {"__name__": "library_page"}
    state = torch.get_rng_state()
    for number, snippet in enumerate(snippets):
        exec(compile(snippet, f"library.md, snippet {number + 1}", "exec"), names)
    torch.set_rng_state(state)
    assert capsys.readouterr().out.startswith("module '1' (LayerNorm) has parameters but is not a Linear layer")
    assert names["values"].shape == (100, 3)
