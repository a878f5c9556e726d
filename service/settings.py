"""What can be set: by arguments, by environment variables (``VI3NR_...``), else by these defaults."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]

MEGABYTE = 1_000_000


class Settings(BaseSettings):
    """Where things are, and the limits that requests must keep."""

    model_config = SettingsConfigDict(env_prefix="VI3NR_", extra="forbid", frozen=True)

    data_dir: Path = Field(default=Path("vi3nr-data"), description="folder of the database and the blobs; local disk")
    database_url: str = Field(default="", description="empty: SQLite in data_dir; or postgresql+psycopg://...")
    database_password_file: Path | None = Field(default=None, description="a file with the password of database_url")

    max_upload_bytes: int = Field(default=20 * MEGABYTE, gt=0, description="of one uploaded file")
    max_json_bytes: int = Field(default=MEGABYTE, gt=0, description="of a JSON body")
    max_pixels: int = Field(default=50_000_000, gt=0, description="of an uploaded image, before downscaling")
    max_points: int = Field(default=1_048_576, gt=0, description="largest max_points that a client may ask for")
    decode_seconds: float = Field(default=30.0, gt=0, description="for the reading of one upload")
    decode_bytes: int = Field(default=2_000_000_000, gt=0, description="of memory, for the reading of one upload")

    max_width: int = Field(default=1024, gt=0)
    max_hidden_layers: int = Field(default=16, gt=0)
    max_steps: int = Field(default=100_000, gt=0)
    max_trials: int = Field(default=1000, gt=0)
    max_finalists: int = Field(default=10, gt=0)
    max_seeds: int = Field(default=50, gt=1)

    ray_address: str = Field(
        default="", description="empty: the runner starts a local Ray of its own; or host:port of a cluster"
    )
    ray_node_ip: str = Field(default="", description="this machine's address in that cluster; empty: what Ray finds")
    beat_file: Path | None = Field(
        default=None, description="a file that the runner touches as long as it works, for health checks"
    )
    gpu_slots: int = Field(default=64, gt=0, description="members that one GPU trains at once")
    gpu_memory_bytes: int | None = Field(
        default=None, gt=0, description="that training may take on one GPU; null: what is free"
    )
    lease_seconds: float = Field(
        default=30.0, gt=0, description="a study whose runner is silent so long is claimed again"
    )
    studies_at_once: int = Field(default=4, gt=0, description="that one runner works on side by side")

    retry_after_seconds: int = Field(default=2, gt=0, description="how often a client should ask how a study stands")

    @property
    def url(self) -> str:
        """The database's URL, with its password: not for logs."""
        if not self.database_url:
            return f"sqlite:///{self.data_dir.absolute() / 'vi3nr.db'}"
        if self.database_password_file is None:
            return self.database_url
        scheme, _, rest = self.database_url.partition("://")
        user, _, place = rest.rpartition("@")
        return f"{scheme}://{user}:{quote(self.database_password_file.read_text().strip(), safe='')}@{place}"

    @property
    def blob_dir(self) -> Path:
        """The folder of the blobs."""
        return self.data_dir.absolute() / "blobs"
