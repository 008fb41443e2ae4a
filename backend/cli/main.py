"""The command line `mvps`: its global options and the list of its commands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from backend.cli import collect as collect_commands
from backend.cli import dataset as dataset_commands
from backend.cli import dataset as import_command
from backend.cli import labeling as labeling_commands
from backend.cli import measure as measure_commands
from backend.cli import models as models_commands
from backend.cli import review as review_commands
from backend.cli import start as start_commands
from backend.cli import studio as studio_commands
from backend.settings import Settings
from labeler.console import never_fail, say, spoken_errors
from labeler.version import __version__
from model import commands as network_commands
from model.simulation import command as simulate_command

app = typer.Typer(
    help="Turn raw clips of people into a video portrait segmentation dataset in the MVPS layout.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    start_commands.demo,
    collect_commands.add,
    collect_commands.judge,
    labeling_commands.preannotate,
    labeling_commands.preview,
    labeling_commands.correct,
    labeling_commands.status,
    review_commands.check,
    studio_commands.serve,
    studio_commands.worker,
    import_command.import_,
    dataset_commands.export,
    dataset_commands.validate,
    dataset_commands.split,
    dataset_commands.resize,
    measure_commands.quality,
    network_commands.train,
    network_commands.evaluate,
    network_commands.effort,
    simulate_command.simulate,
    start_commands.doctor,
):
    kind = models_commands.TrainCommand if command is network_commands.train else None
    app.command(command.__name__.rstrip("_"), cls=kind)(command)
app.add_typer(measure_commands.stats, name="stats")
app.add_typer(models_commands.models, name="models")
app.add_typer(review_commands.review, name="review")
app.add_typer(studio_commands.studio, name="studio")


def main() -> None:
    """Run `mvps`: exit 0 on success, 2 on wrong use, 1 otherwise with one sentence on stderr."""
    never_fail(sys.stdout, sys.stderr)
    with spoken_errors():
        app()


def _print_version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def _global_options(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(
            "-w",
            "--workspace",
            help="Folder of the workspace. Default: MVPS_WORKSPACE or ./workspace.",
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    settings = Settings()
    context.obj = settings.model_copy(update={"workspace": workspace} if workspace else {})
