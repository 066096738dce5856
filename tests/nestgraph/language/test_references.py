"""Optimizers that specs refer to by a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestgraph.errors import SpecError
from nestgraph.language import zoo
from nestgraph.language.spec import Spec, load
from nestgraph.language.system import Group

OWN = "nestgraph: 1\nname: own\nextends: lion\n"
MODEL = """\
nestgraph: 1
name: mine
extends: transformer-tiny
training: {optimizer: parts/own.yaml}
"""


def write(folder: Path) -> Path:
    """Return a model that names an optimizer in a folder below its own."""
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "own.yaml").write_text(OWN)
    (folder / "mine.yaml").write_text(MODEL)
    return folder / "mine.yaml"


def optimizer_of(spec: str | Path, **settings: str) -> str:
    found = load(spec, {f"training.{key}": value for key, value in settings.items()})
    system = found.system.training.system
    assert system is not None
    return system.name


def groups_of(spec: Path) -> tuple[Group, ...]:
    system = load(spec).system.training.system
    assert system is not None
    assert system.optimizer is not None
    return system.optimizer


def test_a_path_is_seen_from_the_file_that_says_it(tmp_path: Path) -> None:
    assert optimizer_of(write(tmp_path / "far")) == "own"


@pytest.mark.parametrize("path", ["parts/own.yaml", "./parts/own.yaml"])
def test_a_path_that_is_set_from_outside_is_seen_from_here(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert optimizer_of("transformer-tiny", optimizer=path) == "own"
    assert optimizer_of("transformer-tiny", optimizer=str(tmp_path / path)) == "own"


def test_what_is_set_from_outside_is_never_seen_from_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "far")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for given in ("parts/own", {"extends": "parts/own.yaml"}):
        with pytest.raises(SpecError, match=r"--set training.optimizer=.*NG(347|112) .*parts/own"):
            load(file, {"training.optimizer": given})
    (tmp_path / "here" / "own.yaml").write_text(OWN.replace("name: own", "name: here"))
    assert optimizer_of(file, optimizer="own") == "here"
    assert "lion" in str(load(file, {"training.optimizer": {"extends": "own.yaml"}}).names)


@pytest.mark.parametrize(
    "training",
    ["{optimizer: own.yaml}", "{optimizer: own}", "{optimizer: {extends: own.yaml}}"],
)
def test_a_path_that_is_inherited_is_seen_from_the_base_that_wrote_it(
    training: str, tmp_path: Path
) -> None:
    for folder, betas in (("base", "0.5"), ("child", "0.25")):
        (tmp_path / folder).mkdir()
        own = f"{OWN}vars: {{beta1: {betas}}}\n"
        (tmp_path / folder / "own.yaml").write_text(own)
    base, child = tmp_path / "base" / "m.yaml", tmp_path / "child" / "m.yaml"
    base.write_text(f"nestgraph: 1\nname: base\nextends: transformer-tiny\ntraining: {training}\n")
    child.write_text("nestgraph: 1\nname: child\nextends: ../base/m.yaml\n")
    assert (tmp_path / "base" / "own.yaml").as_posix() in load(child).names.values()
    assert groups_of(child) == groups_of(base)
    (tmp_path / "child" / "own.yaml").unlink()
    assert groups_of(child) == groups_of(base)


def test_the_spec_of_a_group_is_seen_from_the_file_that_wrote_it(tmp_path: Path) -> None:
    for folder, rule in (("base", "lion"), ("child", "sgd")):
        (tmp_path / folder).mkdir()
        part = f"nestgraph: 1\nname: part-{rule}\nextends: {rule}\n"
        (tmp_path / folder / "part.yaml").write_text(part)
    (tmp_path / "base" / "mix.yaml").write_text(
        "nestgraph: 1\nname: mix\nextends: muon\noptimizer:\n"
        "  - {for: hidden_matrices, spec: muon}\n  - {for: rest, spec: part.yaml}\n"
    )
    child = tmp_path / "child" / "mix.yaml"
    child.write_text("nestgraph: 1\nname: child\nextends: ../base/mix.yaml\n")
    groups = load(child).system.optimizer
    assert groups is not None
    assert [group.system and group.system.name for group in groups] == ["muon", "part-lion"]


def test_a_path_in_a_var_is_seen_from_the_file_that_gives_it(tmp_path: Path) -> None:
    for folder in ("base", "child"):
        (tmp_path / folder).mkdir()
        own = OWN.replace("name: own", f"name: {folder}")
        (tmp_path / folder / "own.yaml").write_text(own)
    base, child = tmp_path / "base" / "m.yaml", tmp_path / "child" / "m.yaml"
    base.write_text(
        "nestgraph: 1\nname: base\nextends: transformer-tiny\n"
        "vars: {trained_by: $which, which: own.yaml}\ntraining: {optimizer: $trained_by}\n"
    )
    child.write_text("nestgraph: 1\nname: child\nextends: ../base/m.yaml\n")
    assert optimizer_of(child) == "base"
    child.write_text(child.read_text() + "vars: {which: own.yaml}\n")
    assert optimizer_of(child) == "child"
    assert optimizer_of(base) == "base"


@pytest.mark.parametrize("name", ["adamw", "adamw.yaml"])
def test_a_spec_that_names_no_optimizer_has_the_shipped_one(name: str, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("nestgraph: 1\nname: mine\nextends: transformer-tiny\n")
    shipped = load("transformer-tiny").system.training.system
    for text in ("nestgraph: 1\nname: adamw\nextends: sgd\n", "notes"):
        (tmp_path / name).write_text(text)
        assert load(file).system.training.system == shipped


def test_an_optimizer_of_the_users_keeps_its_own_vars_when_it_is_called_like_a_shipped_one(
    tmp_path: Path,
) -> None:
    own = _shipped("adamw")
    (tmp_path / "adamw.yaml").write_text(own.replace("beta1: 0.9", "beta1: 0.75"))
    file = tmp_path / "m.yaml"
    file.write_text(
        "nestgraph: 1\nname: mine\nextends: transformer-tiny\ntraining: {optimizer: adamw}\n"
    )
    spec = load(file)
    assert (tmp_path / "adamw.yaml").as_posix() in spec.names.values()
    again = type(spec).from_sources(spec.sources, spec.path, spec.overrides, spec.shipped)
    assert again.system == spec.system
    assert "0.75" in str(spec.system.training.system)


def test_optimizers_that_go_round_by_way_of_folders_end(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "round.yaml").write_text(
        "nestgraph: 1\nname: r\nextends: muon\noptimizer: [{for: rest, spec: ../d/round.yaml}]\n"
    )
    with pytest.raises(SpecError, match=r"NG346 the optimizers name each other in a circle"):
        load(tmp_path / "d" / "round.yaml")


def test_texts_of_0_1_0_are_read_as_they_were_taken() -> None:
    sgd = "nestgraph: 1\nname: other\nextends: sgd\n"
    texts = {
        "child/m.yaml": "nestgraph: 1\nname: child\nextends: ../base/m.yaml\n",
        "base/m.yaml": "nestgraph: 1\nname: base\nextends: transformer-tiny\n"
        "training: {optimizer: opt.yaml}\n",
        "child/opt.yaml": sgd,
        **{f"/gone/{name}.yaml": _shipped(name) for name in ("transformer-tiny", "sgd")},
        **{f"/gone/{name}.yaml": _shipped(name) for name in _bases("transformer-tiny")},
    }
    system = Spec.from_sources(texts, "child/m.yaml").system.training.system
    assert system is not None
    assert system.name == "other"


def _shipped(name: str) -> str:
    return (zoo.folder() / f"{name}.yaml").read_text()


def _bases(name: str) -> list[str]:
    return [Path(file).stem for file in load(name).sources if Path(file).stem != name]


def test_a_mistyped_optimizer_is_told_the_nearest_one() -> None:
    with pytest.raises(SpecError, match=r"NG347 .*`adamww`; did you mean `adamw`"):
        load("transformer-tiny", set={"training.optimizer": "adamww"})


def test_a_path_that_leads_nowhere_is_refused_where_it_stands(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "parts" / "own.yaml").unlink()
    with pytest.raises(SpecError, match=r"mine.yaml:4:23: NG347 no optimizer is called `parts/own"):
        load(file)
