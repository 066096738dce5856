"""Memories that start as a file says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nestgraph.compiler import compile_model
from nestgraph.compiler.equivalence import verify
from nestgraph.errors import SpecError
from nestgraph.language.spec import Spec, load
from nestgraph.reference import Reference
from nestgraph.runtime.file_starts import file_starts
from nestgraph.training import compile, load_run

TEXT = """
nestgraph: 1
name: start
levels: {chunk: 4 tokens, slow: 3 steps}
blocks:
  b:
    memories:
      M: {net: linear, heads: 2, keys: x, values: x, init: {kind: checkpoint, path: old.pt}}
      F: {net: {kind: mlp, expansion: 2, bias: true}, level: slow, objective: task}
      T: {like: F, level: chunk, rule: {rate: 0.1}, gradient: first_order}
    nodes:
      m: {read: M, query: x}
      f: {read: F, query: x}
      t: {read: T, query: x}
      out: {op: sum, in: [x, m, f, t]}
model: {embed: {vocab: 7, width: 8}, stack: [{block: b, repeat: 2}]}
"""


def tensors(*layers: int) -> dict[str, Tensor]:
    found = {}
    for n in layers:
        found[f"{n}.b.M.W0"] = torch.randn(2, 4, 4)
        for name in ("up", "down"):
            shape = (16, 8) if name == "up" else (8, 16)
            found[f"net.{n}.{name}.weight"] = torch.randn(shape)
            found[f"net.{n}.{name}.bias"] = torch.randn(shape[0])
    return {name: 0.1 * x for name, x in found.items()}  # else the rules run away now and then


def spec_in(folder: Path, init: str = "") -> Spec:
    """Return the spec, with `F` and `T` starting as `init` says where it says so."""
    text = TEXT.replace("objective: task}", f"objective: task, init: {init}}}") if init else TEXT
    (folder / "start.yaml").write_text(text)
    return load(folder / "start.yaml")


PARTS = [f"net.<n>.{name}.{part}" for part in ("weight", "bias") for name in ("up", "down")]
FOREIGN = f"{{kind: checkpoint, path: sub/foreign.safetensors, key: [{', '.join(PARTS)}]}}"


def test_each_layer_starts_as_its_own_memory_of_the_file_is(tmp_path: Path) -> None:
    old = tensors(0, 1)
    torch.save(old, tmp_path / "old.pt")
    (tmp_path / "sub").mkdir()
    save_file(old, tmp_path / "sub" / "foreign.safetensors")
    system = spec_in(tmp_path, FOREIGN).system

    found = file_starts(system)
    assert len(found) == 2 * (1 + 4 + 4)
    for weights in (compile_model(system).weights, Reference(system).weights):
        named = weights.named()
        for n in (0, 1):
            start = named[f"{n}.b.M.W0"]
            assert torch.equal(start.float(), old[f"{n}.b.M.W0"])
            assert start.requires_grad
            for memory in "FT":
                for part, key in zip(("W0", "W1", "b0", "b1"), PARTS, strict=True):
                    wanted = old[key.replace("<n>", str(n))]
                    assert torch.equal(named[f"{n}.b.{memory}.{part}"][0].float(), wanted)
    assert verify(system).agrees


def test_a_group_on_steps_starts_as_a_memory_that_starts_as_a_file_says(tmp_path: Path) -> None:
    torch.save(tensors(0, 1), tmp_path / "old.pt")
    text = TEXT.replace("net: linear, heads: 2,", "net: {kind: mlp, expansion: 2, bias: true},")
    text = text.replace("path: old.pt", f"path: old.pt, key: [{', '.join(PARTS)}]")
    text = text.replace("objective: task}", "objective: task, init: {kind: from, memory: M}}", 1)
    text = text.replace("{like: F,", "{like: F, init: learned,")
    (tmp_path / "start.yaml").write_text(text)
    named = compile_model(load(tmp_path / "start.yaml").system).weights.named()
    for part in ("W0", "W1", "b0", "b1"):
        assert torch.equal(named[f"1.b.F.{part}"], named[f"1.b.M.{part}"])


def test_a_run_gives_its_weights_and_is_not_needed_again(tmp_path: Path) -> None:
    torch.save(tensors(0, 1), tmp_path / "old.pt")
    first = compile(spec_in(tmp_path), seed=4)
    run = tmp_path / "run"
    run.mkdir()
    content = {"state_dict": first.state_dict()}
    first.on_save_checkpoint(content)
    torch.save(content, run / "last.ckpt")

    named = compile_model(spec_in(tmp_path, "{kind: checkpoint, path: run}").system).weights.named()
    for name, start in first.model.weights.named().items():
        if name[:6] in ("0.b.M.", "1.b.F.", "1.b.T."):
            assert torch.equal(named[name], start)
    assert not torch.equal(named["embed.weight"], first.model.weights.named()["embed.weight"])

    (tmp_path / "old.pt").unlink()
    opened = load_run(run)
    tokens = torch.randint(7, (1, 6))
    assert torch.equal(opened(tokens).logits, first(tokens).logits)


@pytest.mark.parametrize("key", ["one", "'<n>.b.M.W0'", "[one]", "whole"])
def test_a_memory_of_one_tensor_is_named_itself(key: str, tmp_path: Path) -> None:
    old = {"one": torch.randn(2, 4, 4), "0.b.M.W0": torch.randn(2, 4, 4)}
    old |= {"1.b.M.W0": torch.randn(2, 4, 4), "whole.W0": torch.randn(2, 4, 4)}
    torch.save({"state_dict": old}, tmp_path / "old.pt")
    text = TEXT.replace("path: old.pt", f"path: old.pt, key: {key}")
    (tmp_path / "start.yaml").write_text(text)

    found = file_starts(load(tmp_path / "start.yaml").system)

    for n in (0, 1):
        name = key.strip("'[]").replace("<n>", str(n)).replace("whole", "whole.W0")
        assert torch.equal(found[f"{n}.b.M.W0"], old[name])


def test_a_path_is_seen_from_the_spec_and_from_here_where_set_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(tensors(0, 1), tmp_path / "old.pt")
    spec_in(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    torch.save(tensors(0, 1), elsewhere / "new.pt")
    monkeypatch.chdir(elsewhere)

    change = {"blocks.b.memories.M.init.path": "new.pt"}
    found = [file_starts(load("../start.yaml", set=set_).system) for set_ in ({}, change)]

    for file, one in zip((tmp_path / "old.pt", elsewhere / "new.pt"), found, strict=True):
        assert torch.equal(one["0.b.M.W0"], torch.load(file)["0.b.M.W0"])


def problems(folder: Path, init: str = "") -> list[str]:
    with pytest.raises(SpecError) as caught:
        compile(spec_in(folder, init))
    for line in str(caught.value).splitlines()[1::3]:
        assert line.strip()[0].isdecimal()  # the line of the spec
    folder_name = f"{folder}/"
    return [str(one).replace(folder_name, "") for one in caught.value.diagnostics]


def test_what_a_file_lacks_is_said_for_every_memory_at_its_path(tmp_path: Path) -> None:
    assert problems(tmp_path, "{kind: checkpoint, path: none.pt}") == [
        "start.yaml:8:85: NG711 there is no file `old.pt`",
        "start.yaml:9:116: NG711 there is no file `none.pt`",
    ]
    old = tensors(0, 1)
    old["0.b.M.W0"] = old["0.b.M.W0"][:1]
    torch.save(old, tmp_path / "old.pt")
    assert problems(tmp_path, "{kind: checkpoint, path: old.pt, key: [net.0.up.wieght, a]}") == [
        "start.yaml:8:85: NG714 `0.b.M.W0` of `old.pt` has shape (1, 4, 4); `M` starts with"
        " (2, 4, 4): heads, out, in",
        "start.yaml:9:116: NG714 `key` names 2 tensors, and `F` consists of 4; name one for each"
        " of `W0`, `W1`, `b0` and `b1`",
        "start.yaml:9:116: NG714 `key` names 2 tensors, and `T` consists of 4; name one for each"
        " of `W0`, `W1`, `b0` and `b1`",
    ]
    torch.save(tensors(0, 1), tmp_path / "old.pt")
    wrong = FOREIGN.replace("sub/foreign.safetensors", "old.pt").replace("up.weight", "up.wieght")
    assert problems(tmp_path, wrong) == [
        f"start.yaml:9:116: NG714 `old.pt` holds no tensor `net.{n}.up.wieght`;"
        f" did you mean `net.{n}.up.weight`?"
        for n in (0, 1)
    ]


@pytest.mark.parametrize("name", ["old.pt", "old.safetensors", "old.ckpt"])
def test_a_file_that_is_cut_short_or_something_else_is_said_so(name: str, tmp_path: Path) -> None:
    torch.save(tensors(0, 1), tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    torch.save([1, 2], tmp_path / "list.pt")
    for cut in (
        content[: len(content) // 2],
        b"",
        b"no tensors",
        (tmp_path / "list.pt").read_bytes(),
    ):
        (tmp_path / name).write_bytes(cut)
        (tmp_path / "start.yaml").write_text(TEXT.replace("old.pt", name))
        with pytest.raises(SpecError, match=f"NG712 .*{name}` holds no tensors by name"):
            compile(load(tmp_path / "start.yaml"))


def test_a_folder_without_weights_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "old.pt").mkdir()
    assert problems(tmp_path) == [
        "start.yaml:8:85: NG711 `old.pt` holds none of last.ckpt, model.safetensors; give a file"
    ]


def spoilt(tensor: Tensor, kind: str) -> Tensor:
    """Return a tensor of the same shape that can't be weights."""
    dotted = tensor.clone()
    dotted.view(-1)[3] = float({"NaN": "nan", "infinite": "-inf"}.get(kind, "0"))
    return {
        "complex": tensor.to(torch.complex64),
        "sparse": tensor.to_sparse(),
        "whole": (100 * tensor).to(torch.int8),
        "meta": tensor.to("meta"),
        "wide": tensor.double() * 1e300,
    }.get(kind, dotted)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("complex", "holds complex64, not floating-point numbers"),
        ("sparse", "is sparse_coo, not dense"),
        ("whole", "holds int8, not floating-point numbers"),
        ("meta", "has a shape and no numbers"),
        ("NaN", "holds nan at 1 of 32 places"),
        ("infinite", "holds -inf at 1 of 32 places"),
        ("wide", r"holds numbers up to \d.*e\+\d+, beyond torch\.float32"),
    ],
)
def test_what_cant_be_weights_is_refused_by_its_name(tmp_path: Path, kind: str, why: str) -> None:
    old = tensors(0, 1)
    old["1.b.M.W0"] = spoilt(old["1.b.M.W0"], kind)
    torch.save(old, tmp_path / "old.pt")
    with pytest.raises(SpecError, match=rf"start\.yaml:8:.* NG717 `1\.b\.M\.W0` of `.*` {why}"):
        compile(spec_in(tmp_path))


def test_numbers_beyond_float32_start_what_is_wider(tmp_path: Path) -> None:
    old = tensors(0, 1)
    old["1.b.M.W0"] = old["1.b.M.W0"].double() * 1e300
    torch.save(old, tmp_path / "old.pt")
    found = file_starts(spec_in(tmp_path).system, torch.float64)
    assert torch.equal(found["1.b.M.W0"], old["1.b.M.W0"])
