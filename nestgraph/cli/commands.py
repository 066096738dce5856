"""Every command with its arguments. Bodies import their worker, so that `--help` costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nestgraph import __version__
from nestgraph.cli.failures import PoliteGroup

app = typer.Typer(
    name="nestgraph",
    cls=PoliteGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Nested Learning from YAML: check, draw, compile and train specs.",
    epilog="S is the path of a spec, or the name of a shipped one: see `nestgraph list`.",
)


def _specs(incomplete: str) -> list[str]:
    """What the shell may complete to a spec: shipped names, and YAML files here."""
    from nestgraph import zoo

    files = (path.as_posix() for path in Path().glob("*.yaml"))
    return [name for name in (*zoo.names(), *files) if name.startswith(incomplete)]


def _passes(incomplete: str) -> list[str]:
    from nestgraph.compiler import PASS_NAMES

    return [name for name in (*PASS_NAMES, "all") if name.startswith(incomplete)]


SpecName = Annotated[
    str, typer.Argument(metavar="S", help="Path or name of a spec.", autocompletion=_specs)
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Replace a value of the spec, like `vars.width=64`; may be given again.",
    ),
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"nestgraph {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Nested Learning from YAML: check, draw, compile and train specs."""


@app.command("list")
def list_specs() -> None:
    """Name the specs that come with nestgraph."""
    from nestgraph.cli.zoo import list_zoo

    list_zoo()


@app.command()
def check(
    specs: Annotated[
        list[str],
        typer.Argument(metavar="S...", help="Paths or names of specs.", autocompletion=_specs),
    ],
    form: Annotated[
        Literal["text", "json", "github"], typer.Option("--format", help="Form of the report.")
    ] = "text",
    changes: Changes = None,
) -> None:
    """Report every problem with its place; exit with 2 if one is an error."""
    from nestgraph.cli.check import check_specs

    check_specs(specs, form, changes or [])


@app.command()
def show(
    spec: SpecName,
    node: Annotated[
        str | None,
        typer.Argument(metavar="NODE", help="A memory, read or op, like `hope.a.q` or `q`."),
    ] = None,
    changes: Changes = None,
) -> None:
    """Print the levels, parameters and resolved values; or one node, line by line."""
    from nestgraph.cli.show import show_spec

    show_spec(spec, node, changes or [])


@app.command()
def draw(
    spec: SpecName,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Its ending says what: svg png dot.")
    ],
    changes: Changes = None,
) -> None:
    """Draw the memories of a spec, level by level."""
    from nestgraph.cli.draw import draw_spec

    draw_spec(spec, out, changes or [])


@app.command("compile")
def compile_(
    spec: SpecName,
    print_ir: Annotated[
        bool, typer.Option("--print-ir", help="Print the program after all passes.")
    ] = False,
    print_ir_after: Annotated[
        str | None,
        typer.Option(
            "--print-ir-after",
            metavar="PASS",
            help="Print the program after a pass, or after `all`.",
            autocompletion=_passes,
        ),
    ] = None,
    emit: Annotated[
        Literal["python"] | None, typer.Option("--emit", help="Print the code that runs.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with the reference interpreter.")
    ] = False,
    changes: Changes = None,
) -> None:
    """Print the plan: which kernel computes each memory and why, what was fused, the schedule."""
    from nestgraph.cli.compiling import compile_spec

    compile_spec(spec, changes or [], print_ir, print_ir_after, emit == "python", verify)


@app.command()
def train(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="S", help="A spec; not needed with --resume.", autocompletion=_specs
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="`shakespeare`, `austen`, or your own file or folder."),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the outermost level.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the first weights and the batches.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where the run is kept; else runs/NAME-1."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run folder or a checkpoint.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Begin with the weights of a trained run.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Read the text once, in order; all levels learn.")
    ] = False,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="With --stream: the outermost level stays as it is.")
    ] = False,
    devices: Annotated[str, typer.Option(help="How many devices; 1 for now.")] = "1",
    strategy: Annotated[str, typer.Option(help="Of Lightning; auto for now.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of Lightning; 32-true for now.")] = "32-true",
    changes: Changes = None,
) -> None:
    """Train a spec on text; then print its loss, a sample, and where the picture is."""
    from nestgraph.cli.train import Wishes, train_spec

    wishes = Wishes(
        out=out,
        resume=resume,
        max_steps=max_steps,
        data=data,
        seed=seed,
        devices=devices,
        strategy=strategy,
        precision=precision,
        weights=weights,
        stream=stream,
        frozen=frozen,
    )
    train_spec(spec, wishes, changes or [])


@app.command()
def generate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a checkpoint.")],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The text to go on from.")],
    tokens: Annotated[int, typer.Option(min=1, help="How many tokens (bytes) to write.")] = 200,
    temperature: Annotated[
        float, typer.Option(min=0, help="0 takes the likeliest token; more is more varied.")
    ] = 0.8,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What it remembers, to go on from.")
    ] = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="Write back to --state what it remembers afterwards.")
    ] = False,
) -> None:
    """Let a trained model go on with a text."""
    from nestgraph.cli.generate import generate_text

    generate_text(run, prompt, tokens, temperature, seed, state=state, learn=learn)


@app.command()
def schema() -> None:
    """Print the JSON schema of specs, for editors."""
    from nestgraph.cli.zoo import print_schema

    print_schema()
