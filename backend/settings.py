"""The settings: environment variables, and the options of the command line that override them."""

import os
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from labeler.publish.split import TEST_SHARE
from labeler.review.standing import AUDIT_SHARE, STRICT, Thresholds


def _theirs(name: str) -> AliasChoices:
    """An environment variable that other tools use, too, under this name."""
    return AliasChoices(name, name.lower())


class Settings(BaseSettings):
    """The settings, each from the variable `MVPS_<NAME>` or one that other tools use, too.

    Attributes:
        workspace: the folder with the clips, the masks and the database.
        database_url: a SQLAlchemy URL to use in place of the workspace's SQLite file.
        queue_url: a Redis URL to use in place of the queue's file, for a worker on another machine.
        device: where networks run: `auto`, `cpu`, `cuda`, `cuda:1`.
        batch_size: how many frames a network takes at once.
        model: the weights that the worker masks with; a folder or a name.
        backend_url: the address at which Label Studio reaches `mvps serve`.
        pages_url: the address at which people reach it, for links. Default: `backend_url`.
        project: the title of the project in Label Studio.
        studio_url, studio_key: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.
        document_root: LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, the folder from which Label Studio
            serves files, as Label Studio sees it. Default: the workspace.
        studio_workspace: the workspace's folder as Label Studio sees it, if that differs.
        basic_auth_user, basic_auth_pass: BASIC_AUTH_USER and BASIC_AUTH_PASS, which Label Studio
            must send to the backend. Default: random ones, kept in the workspace.
        webhook_secret: what Label Studio's webhook must send. Default: likewise.
        fetch_seconds: how often the worker asks Label Studio for submissions that it was not told.
        check: how masks are cross-checked in Label Studio: `confirm` (a second person sees the
            first one's mask), `blind` (they do not), or `none`.
        agreement_region, agreement_boundary: the least J and F at which two people agree.
        audit_share: the share of the key frames that are masked once more without any pre-label.
        retrain_masks, retrain_hours: retraining starts by itself once this many masks are newly
            accepted and this many hours have passed since the last one; 0 masks means never.
        train_device: where the network is retrained. Default: `device`.
        train_pauses: whether other masking waits during a retraining, except for masks that
            somebody waits for.
        train_minutes: how long a retraining trains; or its train_steps.
        train_size, train_batch, train_rate: side of the input, samples a step, learning rate.
        train_on: folders with other datasets of people to learn from beside the new masks,
            separated as in PATH.
        fresh_share: the share of the samples that show masks newer than the champion.
        test_share: the share of the clips that are locked, for judging only.
        judge_clips: with fewer locked clips, new weights are not promoted by themselves.
    """

    model_config = SettingsConfigDict(env_prefix="MVPS_", extra="ignore", populate_by_name=True)

    workspace: Path = Path("workspace")
    database_url: str | None = Field(default=None, repr=False)
    queue_url: str | None = Field(default=None, repr=False)
    device: str = "auto"
    batch_size: int = Field(default=8, ge=1)
    model: str | None = None
    backend_url: str = "http://127.0.0.1:9090"
    pages_url: str | None = None
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
    fetch_seconds: float = Field(default=180, ge=1)
    check: Literal["confirm", "blind", "none"] = "confirm"
    agreement_region: float = Field(default=STRICT.region, ge=0, le=1)
    agreement_boundary: float = Field(default=STRICT.boundary, ge=0, le=1)
    audit_share: float = Field(default=AUDIT_SHARE, ge=0, le=1)
    retrain_masks: int = Field(default=300, ge=0)
    retrain_hours: float = Field(default=12, ge=0)
    train_device: str | None = None
    train_pauses: bool = False
    train_minutes: float = Field(default=60, gt=0)
    train_steps: int | None = Field(default=None, ge=1)
    train_size: int = Field(default=320, ge=32, multiple_of=32)
    train_batch: int = Field(default=8, ge=1)
    train_rate: float = Field(default=3e-4, gt=0)
    train_on: str = ""
    fresh_share: float = Field(default=0.5, ge=0, lt=1)
    test_share: float = Field(default=TEST_SHARE, ge=0, le=1)
    judge_clips: int = Field(default=5, ge=1)

    @field_validator("studio_key")
    @classmethod
    def _stripped(cls, key: str) -> str:
        return key.strip()  # a file with a token ends with a line break

    @property
    def thresholds(self) -> Thresholds:
        """The least agreement at which a mask is accepted."""
        return Thresholds(self.agreement_region, self.agreement_boundary)

    @property
    def rehearsed(self) -> list[Path]:
        """The folders of `train_on`."""
        return [Path(each) for each in self.train_on.split(os.pathsep) if each]
