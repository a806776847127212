"""The `retrain` command. Each module of this package is a subcommand."""

import importlib
import os
import pkgutil
import shlex
import sys

from retrain import cli, environment, schema

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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; an unknown name ends the program with the most similar one."""
        if args[0] not in (known := self.list_commands(ctx)):
            ctx.fail(f"unknown command '{args[0]}'; {schema.nearest(args[0], known)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, each with the whole first sentence of its help."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(1000)) for name, one in commands.items() if one])


main = click.version_option(package_name="retrain")(
    Commands(
        name="retrain",
        help="Run the pipeline, check its results, and use its models.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
)


def run() -> None:
    """Run `retrain` as the whole program."""
    os.environ[environment.COMMAND] = shlex.join(["retrain", *sys.argv[1:]])
    cli.run(main)
