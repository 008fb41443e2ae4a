"""Run the commands of the networks by `python -m model`, on a machine with little else."""

import typer

from labeler.console import spoken_errors
from model import commands as network_commands
from model.simulation import command as simulate_command

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
for command in (
    network_commands.train,
    network_commands.evaluate,
    network_commands.effort,
    simulate_command.simulate,
):
    app.command()(command)

with spoken_errors():
    app()
