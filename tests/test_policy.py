"""What holds for the project as a whole: layers, packages, public names, sizes."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Container, Iterator
from pathlib import Path

import networkx as nx
import pytest

import nestgraph
from nestgraph.codes import CODES

ROOT = Path(__file__).parent.parent
TOP = {"nestgraph": "nestgraph", "compiler": "nestgraph.compiler"} | {
    name: f"nestgraph.{name}" for name in ("viz", "specs")
}
PUBLIC = {
    "Spec",
    "SpecError",
    "__version__",
    "compile",
    "diff",
    "compile_optimizer",
    "draw",
    "draw_diff",
    "eval",
    "graph",
    "load",
    "load_run",
    "plan",
    "reference",
}
RUNTIME = {
    *("api", "cli", "data", "evaluation", "ops", "reference", "runtime", "training"),
}
"""Parts of `nestgraph` that may import torch, at the top of a file or in a function."""


LIGHT = [
    ("list",),
    ("check", "hope"),
    ("draw", "hope", "-o", "{folder}/hope.svg"),
    ("diff", "hope", "hope"),
    ("show", "hope"),
    ("schema",),
    ("--help",),
]
"""Commands that never import torch; the first five have a bound on processor time."""


def source_files() -> list[Path]:
    return sorted(file for top in TOP for file in (ROOT / top).rglob("*.py"))


def module_name(file: Path) -> str:
    top, *inner = file.relative_to(ROOT).with_suffix("").parts
    parts = [TOP[top], *inner]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, *, when_run: bool = False) -> set[str]:
    """Return modules that a file imports; with `when_run` without those for type checkers only."""
    tree = ast.parse(file.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if when_run and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def uses(file: Path, *packages: str, when_run: bool = False) -> list[str]:
    return sorted(
        name
        for name in imports(file, when_run=when_run)
        if any(name == package or name.startswith(f"{package}.") for package in packages)
    )


def files_of(*packages: str) -> list[Path]:
    return [
        file
        for file in source_files()
        if any(f"{module_name(file)}.".startswith(f"{package}.") for package in packages)
    ]


def test_the_language_and_the_pictures_never_import_torch() -> None:
    torch_free = [
        file
        for file in files_of("nestgraph")
        if not module_name(file).startswith("nestgraph.compiler")
        and module_name(file).removeprefix("nestgraph.").split(".")[0] not in RUNTIME
    ]
    assert files_of("nestgraph.viz")
    assert not {file: found for file in torch_free if (found := uses(file, "torch", "lightning"))}


def test_the_reference_imports_neither_the_kernels_nor_the_compiler() -> None:
    reference = files_of("nestgraph.reference")
    assert reference
    assert not {
        file: found
        for file in reference
        if (found := uses(file, "nestgraph.ops", "nestgraph.compiler", "nestgraph.training"))
    }


def test_the_kernels_know_nothing_of_specs() -> None:
    kernels = files_of("nestgraph.ops")
    assert kernels
    for file in kernels:
        others = [name for name in uses(file, "nestgraph") if not name.startswith("nestgraph.ops")]
        assert not others, f"{file} imports {others}"


def test_the_compiler_looks_down_only() -> None:
    upper = ("nestgraph.training", "nestgraph.cli", "nestgraph.api", "nestgraph.viz")
    for file in files_of("nestgraph.compiler"):
        assert not uses(file, *upper), file


def test_the_training_looks_down_only() -> None:
    for file in files_of("nestgraph.training", "nestgraph.data"):
        assert not uses(file, "nestgraph.cli", "nestgraph.evaluation"), file


def test_the_evaluation_looks_down_only() -> None:
    files = files_of("nestgraph.evaluation")
    assert files
    for file in files:
        assert not uses(file, "nestgraph.cli", "nestgraph.api"), file


def test_the_command_line_imports_its_workers_only_when_a_command_runs() -> None:
    loaded = modules_after("import nestgraph.cli.commands")
    assert not {"torch", "networkx", "pydantic", "yaml", "nestgraph.language.spec"} & loaded


def modules_after(code: str, *, cwd: Path = ROOT) -> set[str]:
    """Return modules that a fresh interpreter holds after running `code`."""
    # the last line only, whatever the code printed
    script = f"import sys\n{code}\nprint('\\n' + ' '.join(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.splitlines()[-1].split())


def command_line(*arguments: str) -> str:
    """Code that runs the command line as `nestgraph ARGUMENTS` would."""
    return (
        f"sys.argv = ['nestgraph', *{list(arguments)!r}]\n"
        "from nestgraph.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code in (0, None), end.code"
    )


@pytest.mark.parametrize("arguments", LIGHT, ids=lambda arguments: arguments[0])
def test_a_light_command_never_imports_torch(arguments: tuple[str, ...], tmp_path: Path) -> None:
    filled = [argument.format(folder=tmp_path) for argument in arguments]
    assert not {"torch", "lightning"} & modules_after(command_line(*filled))


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
@pytest.mark.parametrize("arguments", LIGHT[:5], ids=lambda arguments: arguments[0])
def test_a_light_command_takes_a_few_times_as_long_as_its_libraries(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """Pairs side by side: seconds of one and the same command differ by half on a shared machine.

    Where these libraries take a third of a second, a command may take 1.3; torch alone takes two.
    """
    code = command_line(*(argument.format(folder=tmp_path) for argument in arguments))
    libraries = "import networkx, pydantic, typer, yaml"
    assert min(processor_time(code) / processor_time(libraries) for _ in range(3)) < 4


def processor_time(code: str) -> float:
    """Return seconds of processor time that a fresh interpreter takes for `code`."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    modules_after(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_importing_the_package_is_light_until_a_name_is_used() -> None:
    loaded = modules_after("import nestgraph")
    assert not {"torch", "yaml", "pydantic", "networkx", "typer"} & loaded


def test_the_public_names_are_these_and_each_resolves() -> None:
    assert set(nestgraph.__all__) == PUBLIC
    assert set(dir(nestgraph)) >= PUBLIC
    for name in PUBLIC - {"__version__"}:
        assert callable(getattr(nestgraph, name)), name
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        nestgraph.nonsense  # noqa: B018


def test_a_public_function_is_not_lost_to_the_submodule_of_its_name() -> None:
    modules_after(
        "import nestgraph.graph.build, nestgraph.reference, nestgraph as ng\n"
        "assert ng.graph.__name__ == 'graph' and callable(ng.graph), ng.graph\n"
        "assert ng.reference.__name__ == 'reference' and callable(ng.reference), ng.reference\n"
    )


def test_the_packages_to_install_are_the_folders_that_have_an_init_file() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {module_name(file) for file in source_files() if file.name == "__init__.py"}
    assert sorted(settings["packages"]) == sorted(folders)


def test_every_folder_with_python_has_an_init_file() -> None:
    bare = {file.parent for file in source_files()} - {
        file.parent for file in source_files() if file.name == "__init__.py"
    }
    assert not bare


def test_every_data_file_beside_the_code_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for top in TOP:
        for file in (ROOT / top).rglob("*"):
            if not file.is_file() or file.suffix in {".py", ".pyc"}:
                continue
            package = module_name(file.parent / "__init__.py")
            globs = settings["package-data"].get(package, [])
            assert any(file.match(glob) for glob in globs), f"{file} would be left out of the wheel"


@pytest.mark.parametrize("launch", [["-c"], ["-P", "-c"]], ids=["from-root", "with-path"])
def test_a_checkout_finds_the_packages_that_lie_beside_it(launch: list[str]) -> None:
    code = (
        "import nestgraph, nestgraph.compiler, nestgraph.viz, nestgraph.specs\n"
        "print(nestgraph.__file__, nestgraph.compiler.__file__)"
    )
    environment = os.environ | ({"PYTHONPATH": str(ROOT)} if "-P" in launch else {})
    result = subprocess.run(
        [sys.executable, *launch, code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    package, compiler = map(Path, result.stdout.split())
    assert package == ROOT / "nestgraph" / "__init__.py"
    assert compiler == ROOT / "compiler" / "__init__.py"


def test_an_installed_package_does_not_look_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "nestgraph").mkdir()
    (tmp_path / "compiler").mkdir()
    (tmp_path / "compiler" / "__init__.py").touch()
    for name in ("__init__.py", "version.py"):
        (tmp_path / "nestgraph" / name).write_text((ROOT / "nestgraph" / name).read_text())
    loaded = modules_after("import nestgraph\nassert len(nestgraph.__path__) == 1", cwd=tmp_path)
    assert "nestgraph" in loaded


def test_no_file_is_longer_than_600_lines() -> None:
    files = [*source_files(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    long = {
        file.name: count for file in files if (count := len(file.read_text().splitlines())) > 600
    }
    assert not long


def test_every_module_says_what_it_is() -> None:
    silent = [
        module_name(file)
        for file in source_files()
        if file.stat().st_size and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert not silent


def test_every_code_of_a_finding_is_explained_in_the_docs() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (NG\d{3}) \| (.*) \|$", page, re.MULTILINE)
    assert dict(listed) == dict(CODES)


def test_no_docstring_of_a_function_begins_as_a_subordinate_clause() -> None:
    begun = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in source_files()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (text := ast.get_docstring(node))
        and text.split()[0].strip(".,:") in {"What", "Whether", "How", "Who", "Where", "As"}
    ]
    assert not begun


def test_what_runs_a_model_knows_nothing_of_how_its_code_was_written() -> None:
    for file in files_of("nestgraph.compiler.executor", "nestgraph.training"):
        found = {name for name in imports(file) if name.startswith("nestgraph.compiler.emit")}
        assert not found, f"{file} imports {found}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Late imports count, and those for types alone."""
    modules = {module_name(file): file for file in source_files()}
    graph = nx.DiGraph(
        (module, target)
        for module, file in modules.items()
        for target in imported(file, modules)
        if target != module
    )
    circles = [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    assert graph.number_of_edges() > 1000
    assert not circles


def imported(file: Path, modules: Container[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else node.module for name in inner)
