"""What can be set: by arguments, by environment variables (``VI3NR_...``), else by these defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.states import LONGEST_LEASE

__all__ = ["Settings"]

MEGABYTE = 1_000_000


class Settings(BaseSettings):
    """Where things are, and the limits that requests must keep."""

    model_config = SettingsConfigDict(env_prefix="VI3NR_", extra="forbid", frozen=True)

    data_dir: Path = Field(default=Path("vi3nr-data"), description="folder of the database and the blobs; local disk")
    database_url: str = Field(default="", description="empty: SQLite in data_dir; or postgresql+psycopg://...")
    database_password_file: Path | None = Field(default=None, description="a file with the password of database_url")

    blob_url: str = Field(
        default="", description="empty: a folder in data_dir; or an object store, s3://bucket/prefix (needs s3fs)"
    )

    max_upload_bytes: int = Field(default=20 * MEGABYTE, gt=0, description="of one uploaded file")
    max_json_bytes: int = Field(default=MEGABYTE, gt=0, description="of a JSON body")
    max_signals: int = Field(default=64, gt=0, description="files of one dataset")
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

    require_keys: bool = Field(default=False, description="API keys; must be on where others than this machine can ask")
    max_queued: int = Field(
        default=100, gt=0, description="studies of one key that wait or run, unless the key says so"
    )
    max_studies: int = Field(default=10_000, gt=0, description="studies kept for one key, unless the key says so")
    max_datasets: int = Field(default=1000, gt=0, description="datasets kept for one key")
    requests_per_minute: int = Field(
        default=1200, gt=0, description="of one key at one API process, unless the key says so"
    )

    max_wait_seconds: float = Field(default=60.0, gt=0, description="of a request that waits for a study to change")
    max_watchers: int = Field(
        default=32, gt=0, description="of one key at one API process: event streams, and requests that wait"
    )
    watch_seconds: float = Field(default=0.5, gt=0, description="between two looks at a study that is watched")
    webhook_private_addresses: bool = Field(
        default=False, description="whether webhooks may reach private and loopback addresses, and do so without TLS"
    )
    webhook_attempts: int = Field(default=8, gt=0, description="after which a webhook is given up")
    webhook_pause_seconds: float = Field(
        default=5.0,
        gt=0,
        description="before a webhook's second attempt; four times as long before each next one, at most six hours",
    )

    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="of log lines; auto: text on a terminal, JSON elsewhere"
    )

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
        default=30.0, gt=0, le=LONGEST_LEASE, description="a study whose runner is silent so long is claimed again"
    )
    drain_seconds: float = Field(
        default=20.0, gt=0, description="from SIGTERM to the end: for giving studies back, and for requests under way"
    )
    studies_at_once: int = Field(default=4, gt=0, description="that one runner works on side by side")

    public_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="where people reach the API: the dashboard links to reports",
    )

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
        """The folder of the blobs, where they lie in one."""
        return self.data_dir.absolute() / "blobs"

    @property
    def blob_place(self) -> Path | str:
        """Where blobs lie: what ``BlobStore`` takes."""
        return self.blob_url or self.blob_dir
