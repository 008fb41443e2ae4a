"""The sets of weights of a workspace, and which of them is its champion."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labeler.errors import LabelerError
from labeler.files import scratch_folder, sync_folder, write_atomically
from model.card import (
    CARD_FILE,
    WEIGHTS_FILE,
    ModelCard,
    check_version,
    part_folders,
    read_card,
)

CHAMPION_FILE = "champion.json"


@dataclass(frozen=True)
class ChampionChange:
    """One change of the champion: to which weights, when, and why."""

    champion: str
    at: datetime
    reason: str


class ModelRegistry:
    """A folder of weights, named by their versions, and a file that says which is the champion.

    On disk::

        <version>/{model.safetensors,card.json}   never changed, except the scores in the card; a
                                                  joint engine has only a card
        champion.json                             all champions, the last one is the present one;
                                                  and all promotions and rollbacks

    The file is written as a whole or not at all, so there is always exactly one champion, or none
    yet.

    Args:
        folder: the folder of all weights; it is made when the first ones are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def champion(self) -> str | None:
        """The `model_version` of the champion, or None while there is no champion.

        Raises:
            LabelerError: the file that names the champion is damaged.
        """
        champions = self._read()[0]
        return champions[-1] if champions else None

    @property
    def can_roll_back(self) -> bool:
        """Whether there was a champion before the present one."""
        return len(self._read()[0]) > 1

    @property
    def steps(self) -> list[ChampionChange]:
        """Every promotion and rollback, oldest first."""
        return self._read()[1]

    def cards(self) -> list[ModelCard]:
        """Read the cards of all weights, by version; `faults` names those that cannot be read."""
        return [card for card in map(_read, self._folders()) if isinstance(card, ModelCard)]

    def faults(self) -> list[str]:
        """Return a sentence for each card that cannot be read."""
        return [str(fault) for fault in map(_read, self._folders()) if isinstance(fault, Exception)]

    def _folders(self) -> list[Path]:
        return [path.parent for path in sorted(self.folder.glob(f"*/{CARD_FILE}"))]

    def path(self, version: str) -> Path:
        """Find the folder of weights by their version, or by a beginning of it that is unique.

        Raises:
            LabelerError: no weights have such a version, or several do.
        """
        names = [card.model_version for card in self.cards()]
        found = [n for n in names if n == version] or [n for n in names if n.startswith(version)]
        if len(found) != 1:
            known = ", ".join(found or names) or "none yet"
            what = "There are several models" if found else "There is no model"
            raise LabelerError(f"{what} {version!r} in {self.folder}; there are: {known}.")
        return self.folder / found[0]

    def keep(self, weights: Path) -> ModelCard:
        """Copy weights with their card from a folder into the registry, and return the card.

        Weights that are in the registry already stay as they are. If the card names parts, these
        are copied too.

        Raises:
            LabelerError: the folder holds no card, or a part is missing.
        """
        card = read_card(weights)
        for part in part_folders(weights) if card.parts else ():
            self.keep(part)
        try:
            target = self.folder / check_version(card.model_version)
        except ValueError as error:
            raise LabelerError(
                f"{weights / CARD_FILE} cannot be kept ({error}); put back the card that came with "
                "its weights."
            ) from None
        if not (target / CARD_FILE).exists():
            with scratch_folder(self.folder / ".pending") as folder:
                new = folder / card.model_version
                new.mkdir()
                for name in (CARD_FILE,) if card.parts else (WEIGHTS_FILE, CARD_FILE):
                    write_atomically(new / name, (weights / name).read_bytes())
                new.rename(target)
            sync_folder(self.folder)
        return card

    def promote(self, version: str, reason: str) -> str:
        """Make weights the champion, unless they are already, and return their version.

        Raises:
            LabelerError: there are no such weights.
        """
        version = self.path(version).name
        champions, steps = self._read()
        if champions[-1:] != [version]:
            self._write([*champions, version], [*steps, _step(version, reason)])
        return version

    def rollback(self, reason: str = "rolled back") -> str:
        """Make the previous champion the champion again, and return its version.

        Raises:
            LabelerError: there is no previous champion.
        """
        champions, steps = self._read()
        if len(champions) < 2:
            raise LabelerError(
                "There is no champion before the present one; name one with `mvps models promote`."
            )
        version = self.path(champions[-2]).name
        self._write(champions[:-1], [*steps, _step(version, reason)])
        return version

    def _read(self) -> tuple[list[str], list[ChampionChange]]:
        path = self.folder / CHAMPION_FILE
        try:
            found = json.loads(path.read_text())
            steps = [
                ChampionChange(each["champion"], datetime.fromisoformat(each["at"]), each["reason"])
                for each in found["steps"]
            ]
            return [str(version) for version in found["champions"]], steps
        except FileNotFoundError:
            return [], []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabelerError(
                f"{path} does not say which weights are the champion ({error}); put back a copy, "
                "or remove it and promote one."
            ) from None

    def _write(self, champions: Sequence[str], steps: Sequence[ChampionChange]) -> None:
        listed = [
            {"champion": each.champion, "at": each.at.isoformat(), "reason": each.reason}
            for each in steps
        ]
        content = json.dumps({"champions": list(champions), "steps": listed}, indent=2) + "\n"
        write_atomically(self.folder / CHAMPION_FILE, content.encode())


def _read(folder: Path) -> ModelCard | LabelerError:
    """Return the card of a folder, or why there is none that can be used."""
    try:
        card = read_card(folder)
    except LabelerError as error:
        return error
    if card.model_version != folder.name:
        return LabelerError(
            f"{folder / CARD_FILE} is the card of {card.model_version!r}, not of the folder it is "
            "in; bring the folder back from its source."
        )
    return card


def _step(version: str, reason: str) -> ChampionChange:
    return ChampionChange(version, datetime.now(UTC), reason)
