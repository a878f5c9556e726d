"""What clients get to know of the limits."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["Limits"]


class Limits(BaseModel):
    """Each is the largest number allowed, by this deployment's settings and this key's own."""

    max_json_bytes: int = Field(description="of a JSON body")
    max_upload_bytes: int = Field(description="of one uploaded file")
    max_signals: int = Field(description="files of one dataset")
    max_pixels: int = Field(description="of an uploaded image, before downscaling")
    max_points: int = Field(description="of one signal")
    max_families: int = Field(description="activation families of a study")
    max_width: int = Field(description="units of a hidden layer")
    max_hidden_layers: int
    max_steps: int = Field(description="of a training")
    max_trials: int = Field(description="for each family")
    max_finalists: int = Field(description="for each family")
    max_seeds: int = Field(description="of the confirmation")
    max_queued: int = Field(description="studies of this key that wait or run at a time")
    max_studies: int = Field(description="studies kept for this key")
    max_datasets: int = Field(description="datasets kept for this key")
    requests_per_minute: int = Field(description="of this key at one API process; no limit where keys are off")
    max_wait_seconds: float = Field(description="of a request that waits")
    max_watchers: int = Field(description="event streams and requests that wait, of this key at one API process")
