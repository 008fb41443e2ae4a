"""The commands for the workspace's weights: `models ...` and `train --from-workspace`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from backend.cli.options import Json, ask_worker, opened
from backend.settings import Settings
from labeler.console import note, progress, say, say_json
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace
from model.card import CARD_FILE, read_card
from model.registry import ModelRegistry

models = typer.Typer(
    help="List, judge and promote the weights of the workspace.", no_args_is_help=True
)
Version = Annotated[
    str,
    typer.Argument(metavar="VERSION", help="From `mvps models list`; its beginning is enough."),
]
INSTEAD = {
    "steps": "train_steps",
    "minutes": "train_minutes",
    "size": "train_size",
    "batch_size": "train_batch",
    "rate": "train_rate",
}
"""The options of `train` that --from-workspace takes, too, and the settings that they override."""


@models.command(name="list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the weights that were kept, with their scores and verdicts."""
    with opened(context) as workspace:
        registry = _registry(workspace)
        champion, cards = registry.champion, registry.cards()
        if as_json:
            say_json({"champion": champion, "models": [asdict(card) for card in cards]})
            return
        for card in cards:
            mark = "champion" if card.model_version == champion else ""
            scores = ", ".join(f"{name} {value:.3f}" for name, value in card.scores.items())
            say(f"{card.model_version:36} {mark:9} {card.verdict or scores or 'not judged'}")
        if not cards:
            say("No weights were kept yet; `mvps train --from-workspace` makes some.")


@models.command()
def show(context: typer.Context, version: Version) -> None:
    """Print the card of some weights, and when they were the champion."""
    with opened(context) as workspace:
        registry = _registry(workspace)
        card = read_card(registry.path(version))
        steps = [asdict(each) for each in registry.steps if each.champion == card.model_version]
        say_json(
            asdict(card) | {"champion": [each | {"at": each["at"].isoformat()} for each in steps]}
        )


@models.command()
def promote(
    context: typer.Context,
    version: Version,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "promoted by hand",
) -> None:
    """Make these weights the champion, which masks from now on; people's masks stay.

    VERSION may also be a folder with weights: they are first copied into the workspace.
    """
    settings: Settings = context.obj
    with opened(context) as workspace:
        registry = _registry(workspace)
        if (Path(version) / CARD_FILE).is_file():
            version = registry.keep(Path(version)).model_version
        say(f"{registry.promote(version, reason)} is the champion.")
        if settings.model:
            note(f"A worker that is started with MVPS_MODEL={settings.model} stays with it.")
        _reconcile(context)


@models.command(name="judge")
def judge_(
    context: typer.Context,
    version: Version,
    report: Annotated[Path, typer.Option("-o", "--out", help="The page.")] = Path("verdict.html"),
) -> None:
    """Compare weights with the champion on the locked clips, and promote them if they are better.

    VERSION may also be a folder with weights, or the name of bundled ones. Weights of another
    engine are compared only by the share of frames that a person must correct.
    """
    from backend.work.retrain import judge_other

    settings: Settings = context.obj
    with opened(context) as workspace, progress("judging") as update:
        verdict = judge_other(workspace, settings, version, report, update)
        say(f"{verdict.candidate} beside {verdict.champion}: {verdict.sentence}")
        say(str(report))
        _reconcile(context)


@models.command()
def rollback(context: typer.Context) -> None:
    """Make the previous champion the champion again; its masks come back as they were."""
    with opened(context) as workspace:
        say(f"{_registry(workspace).rollback()} is the champion again.")
        _reconcile(context)


_flag = typer.Typer(add_completion=False)


@_flag.command()
def _from_workspace(
    from_workspace: Annotated[
        bool,
        typer.Option(
            "--from-workspace",
            help="Retrain the champion of the workspace on its masks; promote it if it is better.",
        ),
    ] = False,
) -> None:
    """Hold the option; the function itself is not used."""


class TrainCommand(TyperCommand):
    """The command `train` with one option more: --from-workspace retrains the workspace's champion.

    The workspace then takes the place of the data. A GPU machine without a workspace has the same
    command without that option: `python -m model train`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params = [*typer.main.get_command(_flag).params, *self.params]

    def invoke(self, context: Any) -> Any:
        """Retrain if the option is given, else train."""
        if context.params.pop("from_workspace"):
            return _retrain(context, context.params)
        return super().invoke(context)


def _retrain(context: typer.Context, given: Mapping[str, Any]) -> None:
    from backend.work.retrain import retrain

    settings: Settings = context.obj
    changes = {INSTEAD[name]: value for name, value in given.items() if name in INSTEAD and value}
    if given.get("device", "auto") != "auto":
        changes["train_device"] = given["device"]
    if given.get("portraits"):
        raise LabelerError(
            "--from-workspace takes the workspace's own masks; name other datasets to learn from "
            "in MVPS_TRAIN_ON."
        )
    settings = settings.model_copy(update=changes)
    with opened(context) as workspace, progress("retraining") as update:
        state = retrain(workspace, settings, note, update)
        say(state.sentence)
        _reconcile(context)


def _registry(workspace: Workspace) -> ModelRegistry:
    return ModelRegistry(workspace.root / "models")


def _reconcile(context: typer.Context) -> None:
    from backend.store.jobs import Job, JobKind

    ask_worker(context, Job(JobKind.RECONCILE))
