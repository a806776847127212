"""The `retrain` command: what is not a stage. One file per subcommand, found by its name."""

import importlib
import pkgutil

import click


class Commands(click.Group):
    """The subcommands are this package's modules; only the one that is called is loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in alphabetical order."""
        return sorted(module.name for module in pkgutil.iter_modules(__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a module, or None where there is no such module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"retrain.commands.{cmd_name}").command
        return command


main = Commands(
    name="retrain",
    help="Run, look at and use what the pipeline makes. The pipeline itself is `dvc repro`, or `make repro`.",
)
