"""The `retrain` command. Each module of this package is a subcommand."""

import importlib
import pkgutil

from retrain import cli

import click

__all__ = ["main", "run"]


class Commands(click.Group):
    """Loads only the module of the subcommand that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the modules, in alphabetical order."""
        return sorted(module.name for module in pkgutil.iter_modules(__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a module, or None if there is no such module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"retrain.commands.{cmd_name}").command
        return command


main = click.version_option(package_name="retrain")(
    Commands(
        name="retrain",
        help="Run the pipeline, check its results, and use its models.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
)


def run() -> None:
    """Run `retrain` as the whole program."""
    cli.run(main)
