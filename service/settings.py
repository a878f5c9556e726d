"""What can be set: by arguments, by environment variables (``VI3NR_...``), else by these defaults."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]

MEGABYTE = 1_000_000


class Settings(BaseSettings):
    """Where things are, and the limits that requests must keep."""

    model_config = SettingsConfigDict(env_prefix="VI3NR_", extra="forbid", frozen=True)

    data_dir: Path = Field(Path("vi3nr-data"), description="folder of the database and the blobs; local disk")
    database_url: str = Field("", description="empty: SQLite in data_dir; or postgresql+psycopg://...")

    max_upload_bytes: int = Field(20 * MEGABYTE, gt=0, description="of one uploaded file")
    max_json_bytes: int = Field(MEGABYTE, gt=0, description="of a JSON body")
    max_pixels: int = Field(50_000_000, gt=0, description="of an uploaded image, before downscaling")
    max_points: int = Field(1_048_576, gt=0, description="largest max_points that a client may ask for")
    decode_seconds: float = Field(30.0, gt=0, description="that the reading of one upload may take")
    decode_bytes: int = Field(
        2_000_000_000, gt=0, description="of memory that the reading of one upload may take"
    )

    max_width: int = Field(1024, gt=0)
    max_hidden_layers: int = Field(16, gt=0)
    max_steps: int = Field(100_000, gt=0)
    max_trials: int = Field(1000, gt=0)
    max_finalists: int = Field(10, gt=0)
    max_seeds: int = Field(50, gt=1)

    retry_after_seconds: int = Field(2, gt=0, description="how often a client should ask how a study stands")

    @property
    def url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'vi3nr.db'}"

    @property
    def blob_dir(self) -> Path:
        """The folder of the blobs."""
        return self.data_dir.absolute() / "blobs"
