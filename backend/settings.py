"""What can be set from outside: by the environment, and by the options that override it."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings, each from the environment variable `MVPS_<NAME>`.

    `workspace` is the folder of the labeling effort, `database_url` a SQLAlchemy URL in place of
    its own SQLite file, `device` where networks run (`auto`, `cpu`, `cuda`, `cuda:1`), and
    `batch_size` how many frames they take at once.
    """

    model_config = SettingsConfigDict(env_prefix="MVPS_", extra="ignore")

    workspace: Path = Path("workspace")
    database_url: str | None = None
    device: str = "auto"
    batch_size: int = Field(default=8, ge=1)
