"""Every command with its arguments. Bodies import their worker, so that `--help` costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nestgraph.cli.failures import PoliteGroup
from nestgraph.cli.saying import say
from nestgraph.cli.several import Several
from nestgraph.runtime.seeds import LARGEST
from nestgraph.version import __version__

app = typer.Typer(
    name="nestgraph",
    cls=PoliteGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Nested Learning from YAML: check, draw, compile and train specs.",
    epilog="S is the path of a spec, or the name of a shipped one: see `nestgraph list`.",
)


def _specs(incomplete: str) -> list[str]:
    """Return what the shell may complete to a spec: shipped names, and YAML files here."""
    from nestgraph.language import zoo

    files = (path.as_posix() for path in Path().glob("*.yaml"))
    known = (*zoo.names(), *zoo.optimizers(), *files)
    return [name for name in known if name.startswith(incomplete)]


def _passes(incomplete: str) -> list[str]:
    from nestgraph.compiler import PASS_NAMES

    return [name for name in (*PASS_NAMES, "all") if name.startswith(incomplete)]


def _codes(incomplete: str) -> list[str]:
    from nestgraph.codes import CODES

    return [code for code in CODES if code.startswith(incomplete)]


def _tasks(incomplete: str) -> list[str]:
    from nestgraph.evaluation.choosing import names

    return [name for name in names() if name.startswith(incomplete)]


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

Theme = Annotated[
    Literal["light", "dark", "print"], typer.Option("--theme", help="Colours of the picture.")
]


def _version(asked: bool) -> None:
    if asked:
        say(f"nestgraph {__version__}")
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
def explain(
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="Such as NG201.", autocompletion=_codes)
    ],
) -> None:
    """Say what a code means, with a spec that gets it and the spec put right."""
    from nestgraph.cli.explain import explain_code

    explain_code(code)


@app.command()
def show(
    spec: SpecName,
    node: Annotated[
        str | None,
        typer.Argument(metavar="NODE", help="A memory, read or op, like `hope.a.q` or `q`."),
    ] = None,
    costs: Annotated[
        bool, typer.Option("--costs", help="Measure what the compiled kernels cost, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    changes: Changes = None,
) -> None:
    """Print levels, kernels, costs and every value with its origin; or one node, line by line."""
    from nestgraph.cli.show import show_spec

    show_spec(spec, node, changes or [], costs, as_json)


@app.command()
def diff(
    old: Annotated[
        str, typer.Argument(metavar="A", help="Path or name of a spec.", autocompletion=_specs)
    ],
    new: Annotated[
        str, typer.Argument(metavar="B", help="What it is compared with.", autocompletion=_specs)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Also draw it: svg png pdf dot mmd txt html."
        ),
    ] = None,
    theme: Theme = "light",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    changes: Changes = None,
) -> None:
    """Compare two specs by node, edge and attribute; exit with 1 if they differ."""
    from nestgraph.cli.diff import diff_specs

    diff_specs(old, new, as_json, changes or [], out, theme)


@app.command()
def draw(
    spec: SpecName,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Its ending says what: svg png pdf dot mmd txt html.",
        ),
    ],
    view: Annotated[
        Literal["levels", "nested", "block", "clock", "optimizer", "system"],
        typer.Option("--view", help="What to show; html holds all views."),
    ] = "levels",
    depth: Annotated[
        int | None,
        typer.Option(min=0, help="How many blocks inside each other are open; all by default."),
    ] = None,
    focus: Annotated[
        str | None,
        typer.Option(metavar="NODE", help="Only a node, like `a.q` or `M_k`, and its neighbours."),
    ] = None,
    span: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Of clocks: `64`, `100:164 tokens`, `64 steps`."),
    ] = None,
    theme: Theme = "light",
    changes: Changes = None,
) -> None:
    """Draw a spec: its levels, the flows in its blocks, its clocks, or what trains it."""
    from nestgraph.cli.draw import Look, draw_spec

    look = Look(view=view, depth=depth, focus=focus, span=span, theme=theme)
    draw_spec(spec, out, look, changes or [])


@app.command()
def view(
    specs: Annotated[
        list[str],
        typer.Argument(metavar="S...", help="Paths or names of specs.", autocompletion=_specs),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    show: Annotated[bool, typer.Option("--open", help="Open the page in your browser.")] = False,
    changes: Changes = None,
) -> None:
    """Show specs in a browser, side by side, drawn anew whenever a file is saved."""
    from nestgraph.cli.view import view_specs

    view_specs(specs, port, show, changes or [])


@app.command()
def export(
    spec: SpecName,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Else it is printed. .json .graphml"),
    ] = None,
    form: Annotated[
        Literal["node-link", "graphml", "model-explorer"] | None,
        typer.Option("--format", help="Else what the file's ending says."),
    ] = None,
    roll: Annotated[bool, typer.Option("--roll", help="Tell equal repeats once.")] = False,
    changes: Changes = None,
) -> None:
    """Write the graph of a spec for networkx, graph editors or Model Explorer."""
    from nestgraph.cli.export import export_spec

    export_spec(spec, out, form, roll, changes or [])


@app.command()
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the spec; its file is NAME.yaml.")
    ],
    start: Annotated[
        str,
        typer.Option("--from", metavar="S", help="The spec to start from.", autocompletion=_specs),
    ] = "hope-tiny",
    copy: Annotated[
        bool, typer.Option("--copy", help="Write the whole spec, not only what differs.")
    ] = False,
) -> None:
    """Begin a spec of your own from another one."""
    from nestgraph.cli.new import new_spec

    new_spec(name, start, copy)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check that everything nestgraph needs is installed; exit with 1 if not."""
    from nestgraph.cli.doctor import examine

    examine(as_json)


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
    tokens: Annotated[
        int | None,
        typer.Option(min=1, help="How many to compare on; else enough for its ticks."),
    ] = None,
    changes: Changes = None,
) -> None:
    """Print the plan: which kernel computes each memory and why, what was fused, the schedule."""
    from nestgraph.cli.compiling import compile_spec

    compile_spec(spec, changes or [], print_ir, print_ir_after, emit == "python", verify, tokens)


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
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write event files for TensorBoard.")
    ] = False,
    devices: Annotated[str, typer.Option(help="How many devices; 1 for now.")] = "1",
    strategy: Annotated[str, typer.Option(help="Of Lightning; auto for now.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of Lightning; 32-true for now.")] = "32-true",
    changes: Changes = None,
) -> None:
    """Train a spec on text; then print its loss, a sample, and where the picture is."""
    from nestgraph.cli.train import TrainOptions, train_spec

    options = TrainOptions(
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
        tensorboard=tensorboard,
    )
    train_spec(spec, options, changes or [])


@app.command()
def stack(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            help="Of Hugging Face: a local folder, a name, or a YAML file of clocks with either.",
        ),
    ],
    data: Annotated[
        str,
        typer.Option(metavar="TEXT", help="`shakespeare`, `austen`, or your own file or folder."),
    ],
    level: Annotated[
        list[str] | None,
        typer.Option(
            "--level",
            metavar="PERIOD:LAYERS:RATE",
            help="Layers whose MLPs move every PERIOD tokens, `128:0-3:1e-4`; may be given again.",
        ),
    ] = None,
    max_bytes: Annotated[int | None, typer.Option(min=2, help="Read no more than these.")] = None,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="All rates at 0: the network as it is.")
    ] = False,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What it remembers, to go on from.")
    ] = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="Write back to --state what it remembers afterwards.")
    ] = False,
    changes: Changes = None,
) -> None:
    """Read a text with the MLPs of a Hugging Face network on clocks (extra `hf`)."""
    from nestgraph.cli.stack import stack_network

    stack_network(
        network,
        level or [],
        data,
        max_bytes,
        changes or [],
        frozen=frozen,
        state=state,
        learn=learn,
    )


@app.command()
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, like several seeds.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Else report.html in the first RUN."),
    ] = None,
) -> None:
    """Write one page of HTML about runs, and its plots as SVG and PNG."""
    from nestgraph.cli.report import report_runs

    report_runs(runs, out)


@app.command("eval", cls=Several)
def eval_(
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK", help="Such as `mqar:K=16,T=64`; or `length`", autocompletion=_tasks
        ),
    ] = None,
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="S...", help="Specs; for `length` folders of runs.", autocompletion=_specs
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seeds", help="Several: `--seeds 0 1 2`, the default.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Of each training; else the task's.")] = None,
    budget: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Of processor time, in place of steps.")
    ] = None,
    rates: Annotated[
        list[float] | None,
        typer.Option("--lr", metavar="RATE", help="Several to choose from; else the task's."),
    ] = None,
    controls: Annotated[
        Literal["none", "static", "rates-off", "baselines", "all"],
        typer.Option("--controls", help="What to put beside each spec."),
    ] = "none",
    ablate: Annotated[
        list[str] | None, typer.Option("--ablate", metavar="NAME", help="Leave a part out.")
    ] = None,
    match: Annotated[
        Literal["none", "parameters", "flops"],
        typer.Option(help="Make all specs as large as the first."),
    ] = "none",
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try the whole way in minutes: less of everything.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Results to go on with; or the page."),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Name the tasks.")] = False,
    report_of: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="The table of a file.")
    ] = None,
    changes: Changes = None,
) -> None:
    """Train specs on a task and score them: what they recall, track and remember."""
    from nestgraph.cli.evaluation import EvalOptions, run_eval

    options = EvalOptions(
        seeds=tuple(seeds) if seeds else None,
        steps=steps,
        budget=budget,
        rates=tuple(rates) if rates else None,
        controls=controls,
        ablate=tuple(ablate or ()),
        match=match,
        smoke=smoke,
        out=out,
    )
    run_eval(task, specs or [], options, changes or [], listing=listing, report=report_of)


@app.command()
def generate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a checkpoint.")],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="The text to go on from.")],
    tokens: Annotated[int, typer.Option(min=1, help="How many tokens (bytes) to write.")] = 200,
    temperature: Annotated[
        float, typer.Option(min=0, help="0 takes the likeliest token; more is more varied.")
    ] = 0.8,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Of the draws.")] = 0,
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
