"""What can be set from outside: by the environment, and by the options that override it."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from labeler.review import AUDIT_SHARE, STRICT, Thresholds


def _theirs(name: str) -> AliasChoices:
    """A setting that other tools know by a name of their own."""
    return AliasChoices(name, name.lower())


class Settings(BaseSettings):
    """Settings, each from the environment variable `MVPS_<NAME>`, or one that others use too.

    Attributes:
        workspace: the folder of the labeling effort.
        database_url: a SQLAlchemy URL in place of its own SQLite file.
        queue_url: a Redis URL in place of a queue in a file, for a worker on another machine.
        device: where networks run: `auto`, `cpu`, `cuda`, `cuda:1`.
        batch_size: how many frames they take at once.
        model: the weights that the worker masks with; a folder or a name.
        backend_url: where Label Studio reaches `mvps serve`.
        project: the title of the project in Label Studio.
        studio_url, studio_key: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.
        document_root: LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, the folder from which Label Studio
            serves files, as it sees it; the workspace, where nothing is said.
        studio_workspace: the workspace's folder as Label Studio sees it, where that differs.
        basic_auth_user, basic_auth_pass: BASIC_AUTH_USER and BASIC_AUTH_PASS, which Label Studio
            must show to the backend; made up and kept in the workspace, where nothing is said.
        webhook_secret: what its webhook must show; likewise.
        check: how masks are cross-checked in Label Studio: `confirm` (a second person sees the
            first one's mask), `blind` (they do not), or `none`.
        agreement_region, agreement_boundary: J and F from which two people agree.
        audit_share: of the key frames that are masked once more without any pre-label.
    """

    model_config = SettingsConfigDict(env_prefix="MVPS_", extra="ignore", populate_by_name=True)

    workspace: Path = Path("workspace")
    database_url: str | None = Field(default=None, repr=False)
    queue_url: str | None = Field(default=None, repr=False)
    device: str = "auto"
    batch_size: int = Field(default=8, ge=1)
    model: str | None = None
    backend_url: str = "http://127.0.0.1:9090"
    project: str = "MVPS portraits"
    studio_url: str = Field(
        default="http://127.0.0.1:8080", validation_alias=_theirs("LABEL_STUDIO_URL")
    )
    studio_key: str = Field(
        default="", validation_alias=_theirs("LABEL_STUDIO_API_KEY"), repr=False
    )
    document_root: Path | None = Field(
        default=None, validation_alias=_theirs("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT")
    )
    studio_workspace: Path | None = None
    basic_auth_user: str | None = Field(default=None, validation_alias=_theirs("BASIC_AUTH_USER"))
    basic_auth_pass: str | None = Field(
        default=None, validation_alias=_theirs("BASIC_AUTH_PASS"), repr=False
    )
    webhook_secret: str | None = Field(default=None, repr=False)
    check: Literal["confirm", "blind", "none"] = "confirm"
    agreement_region: float = Field(default=STRICT.region, ge=0, le=1)
    agreement_boundary: float = Field(default=STRICT.boundary, ge=0, le=1)
    audit_share: float = Field(default=AUDIT_SHARE, ge=0, le=1)

    @property
    def thresholds(self) -> Thresholds:
        """From which agreement on a mask is accepted."""
        return Thresholds(self.agreement_region, self.agreement_boundary)
