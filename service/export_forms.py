"""The forms in which a study's answer can be taken away."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Form"]


class Form(StrEnum):
    """``json``: the init config. ``pytorch``: a script that needs PyTorch alone. ``safetensors``: weights under the
    names of ``vi3nr.INR``. ``siren``: weights for modules that compute ``sin(omega_0 * linear(x))``.
    """

    JSON = "json"
    PYTORCH = "pytorch"
    SAFETENSORS = "safetensors"
    SIREN = "siren"

    @property
    def is_text(self) -> bool:
        """Whether it is something to read, and holds no weights."""
        return self in (Form.JSON, Form.PYTORCH)

    @property
    def layout(self) -> str:
        """The names of the weights, as ``vi3nr.state_dicts`` calls them."""
        return "siren" if self is Form.SIREN else "inr"

    @property
    def suffix(self) -> str:
        """Of a file."""
        return {"json": "json", "pytorch": "py", "safetensors": "safetensors", "siren": "siren.safetensors"}[self.value]

    @property
    def media_type(self) -> str:
        """Of an answer over HTTP."""
        return {"json": "application/json", "pytorch": "text/x-python"}.get(self.value, "application/octet-stream")
