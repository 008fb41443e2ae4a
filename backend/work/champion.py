"""Which weights the worker masks with: those it was told to, or the workspace's champion."""

import logging
from collections.abc import Callable
from pathlib import Path

from labeler.errors import LabelerError
from model.registry import ModelRegistry
from model.segmenter import Segmenter

logger = logging.getLogger(__name__)


class Champion:
    """The engine of the workspace's champion, loaded anew once that is another one.

    Args:
        models: the workspace's models.
        load: loads the engine of a model by name; None is whatever is the champion now.
        named: a model to stay with, whoever is the champion.

    Raises:
        LabelerError: the weights cannot be loaded.
    """

    def __init__(
        self, models: Path, load: Callable[[str | None], Segmenter], named: str | None = None
    ) -> None:
        self._registry, self._load, self._named = ModelRegistry(models), load, named
        self._loaded = self._version()
        self._segmenter = load(self._loaded)

    def __call__(self) -> Segmenter:
        """The engine to mask with now; the one before it where new weights cannot be loaded."""
        try:
            version = self._version()
            if version != self._loaded:
                self._segmenter, self._loaded = self._load(version), version
                logger.info("masking with %s from now on", self._segmenter.model_version)
        except LabelerError:
            logger.exception("the champion cannot be loaded; %s stays", self._loaded)
        return self._segmenter

    def _version(self) -> str | None:
        return self._named or self._registry.champion
