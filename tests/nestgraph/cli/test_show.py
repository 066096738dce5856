"""`nestgraph show`: levels, parameters and values of a spec, or of one node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestgraph.analysis.parameters import parameter_table
from nestgraph.language.spec import load

DRAFTS = Path(__file__).parent.parent / "drafts"


def test_a_spec_shows_its_levels_outermost_first(run, write) -> None:
    lines = run("show", write("net: linear,", "net: linear, level: chunk,")).stdout.splitlines()
    step = next(i for i, line in enumerate(lines) if "every step" in line and "parameters" in line)
    chunk = next(i for i, line in enumerate(lines) if "every 4 tokens" in line)
    assert step < chunk
    assert "2 memories" in lines[chunk]


def test_the_number_of_parameters_is_that_of_the_table(run, write) -> None:
    path = write()
    total = sum(spec.size for spec in parameter_table(load(str(path)).system))
    assert f"Parameters: {total:,}" in run("show", path).stdout


def test_layers_that_are_alike_share_their_rows(run, write) -> None:
    shown = run("show", write()).stdout
    assert "0.layer.k.weight" in shown
    assert "1.layer.k.weight" not in shown
    assert "2 x" in shown


def test_resolved_values_have_no_variables_left(run, write) -> None:
    shown = run("show", write(), "--set", "vars.width=32").stdout
    assert "width: 32" in shown
    assert "$" not in shown.partition("Resolved")[2]


@pytest.mark.parametrize("address", ["M", "layer.M", "0.layer.M"])
def test_a_memory_shows_each_value_and_the_line_that_it_came_from(run, write, address) -> None:
    shown = run("show", write(), address).stdout
    assert "0.layer.M  memory" in shown
    assert "small.yaml:9:" in shown
    (rate,) = (line for line in shown.splitlines() if line.strip().startswith("rule.rate"))
    assert "0.5" in rate
    assert "small.yaml:9:" in rate
    (gradient,) = (line for line in shown.splitlines() if line.strip().startswith("gradient"))
    assert "by default" in gradient
    assert "0.layer.M.W0" in shown


def test_an_op_shows_its_fields_and_parameters(run, write) -> None:
    shown = run("show", write(), "1.layer.k.base").stdout
    assert "op" in shown
    assert "linear" in shown
    assert "1.layer.k.weight" in shown


def test_an_unknown_node_is_named_with_a_suggestion(run, write) -> None:
    result = run("show", write(), "layer.N")
    assert result.exit_code == 2
    assert "`layer.N` names no memory, read or op" in result.stderr
    assert "did you mean" in result.stderr


def test_an_inner_block_lists_what_is_in_it(run) -> None:
    shown = run("show", "hope-tiny", "0.hope").stdout
    assert "memory" in shown
    assert "read" in shown


def test_the_level_table_shows_what_each_level_costs(run, write) -> None:
    shown = run("show", write("net: linear,", "net: linear, level: chunk,")).stdout
    (chunk,) = (line for line in shown.splitlines() if line.split()[:2] == ["2", "chunk"])
    # 2 layers of 2 heads of 8 x 8, running and anchor, in float32; read, error and write
    assert "2.0 KiB" in chunk
    assert chunk.endswith("1.54 k")


def test_every_memory_shows_its_kernel_and_why(run, write) -> None:
    kernels = run("show", write()).stdout.partition("Kernels")[2].partition("Parameters")[0]
    assert "M  chunked_delta" in kernels


def test_vars_and_training_show_the_line_that_they_came_from(run, write) -> None:
    shown = run("show", write(), "--set", "training.lr=3e-4", "--set", "vars.width=32").stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["width", "32", "from", "--set", "vars.width=32:1:12"] in rows
    assert any(row[:3] == ["heads", "2", "from"] and "small.yaml:4:" in row[3] for row in rows)
    assert ["lr", "0.0003", "from", "--set", "training.lr=3e-4:1:13"] in rows
    assert ["steps", "2000", "by", "default"] in rows


def test_what_nothing_runs_yet_is_named_in_place_of_a_kernel(run, write) -> None:
    result = run("show", write("net: linear,", "net: {kind: mlp, gated: true},"))
    assert result.exit_code == 0, result.output
    assert "NG9" in result.stdout.partition("Kernels")[2].partition("Parameters")[0]


def test_measured_costs_come_when_they_are_asked_for(run, write) -> None:
    path = write()
    assert "kept for backward" not in run("show", path).stdout
    assert "kept for backward" in run("show", path, "--costs").stdout


def test_json_tells_what_the_text_tells(run, write) -> None:
    path = write("net: linear,", "net: linear, level: chunk,")
    told = json.loads(run("show", path, "--json", "--costs").stdout)
    assert [level["name"] for level in told["levels"]] == ["step", "chunk"]
    assert told["levels"][1]["state_bytes"] == 2048
    assert told["cost"]["parameters"] == sum(row["size"] for row in told["parameters"])
    assert told["kernels"][0]["kernel"] == "anchored_chunk"
    assert told["measured"]["forward"] > 0
    (memory,) = (node for node in told["nodes"] if node["kind"] == "memory")
    assert memory["paths"] == ["0.layer.M", "1.layer.M"]
    rate = next(value for value in memory["values"] if value["name"] == "rule.rate")
    assert (rate["value"], rate["origin"]["line"]) == ("0.5", 9)


def test_json_of_one_node_is_that_node(run, write) -> None:
    (told,) = json.loads(run("show", write(), "layer.M", "--json").stdout)
    assert told["kind"] == "memory"
    assert run("show", write(), "layer.N", "--json").exit_code == 2


@pytest.mark.parametrize("path", sorted(DRAFTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_spec_of_the_language_shows_in_both_forms(run, path) -> None:
    assert run("show", path).exit_code == 0
    assert json.loads(run("show", path, "--json").stdout)["name"]


def test_the_optimizer_stands_in_the_levels_of_the_model_that_it_trains(run) -> None:
    changes = ("--set", "training.optimizer=m3-ema", "--set", "vars.slow=16")
    shown = run("show", "hope-tiny", *changes).stdout
    table = shown.partition("\n\nOptimizer")[0].partition("rank")[2].splitlines()[1:]
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table]
    assert [row[:4] for row in rows[:4]] == [
        ["1", "slow of slow", "every 1600 steps", "1/1600 per step"],
        ["2", "slow of mid", "every 400 steps", "1/400 per step"],
        ["3", "slow", "every 100 steps", "1/100 per step"],
        ["4", "slow", "every 16 steps", "1/16 per step"],
    ]
    assert [row[4:] for row in rows[:3]] == [["1 of the optimizer"]] * 3
    assert rows[3][4:6] == ["4 memories, 3 of the optimizer", "49,152"]  # of that level alone
    assert rows[5][4] == "parameters, 4 memories, 9 of the optimizer"


def test_an_optimizer_that_is_written_out_is_shown_and_not_one_of_the_zoo(run) -> None:
    inline = "{extends: m3-ema, vars: {period: 7}}"
    told = json.loads(
        run("show", "transformer-tiny", "--set", f"training.optimizer={inline}", "--json").stdout
    )
    assert [level["frequency"] for level in told["levels"][:2]] == ["1/7 per step", "1 per step"]
    assert told["levels"][0]["optimizer"] == ["optimizer/0.m3/M2"]
    memories = {memory["path"]: memory for memory in told["optimizer"]["memories"]}
    assert told["optimizer"]["name"] == "transformer-tiny-optimizer"
    assert memories["optimizer/0.m3/M2"]["learns_from"] == ["grad"]
    assert memories["optimizer/0.m3/param"]["learns_from"] == ["M1", "M2", "V"]
    assert memories["optimizer/2.adamw/first"]["learns_from"] == ["grad"]
    held = [name for level in told["levels"] for name in level["optimizer"]]
    assert sorted(held) == sorted(memories)


def test_an_optimizer_alone_shows_its_own_levels(run) -> None:
    told = json.loads(run("show", "m3-ema", "--json").stdout)
    assert [level["period"] for level in told["levels"]] == [100, 1]
    assert told["levels"][0]["memories"] == ["0.m3/M2"]
    assert told["optimizer"] is None
    assert "Optimizer:" not in run("show", "m3-ema").stdout


@pytest.mark.parametrize(
    ("name", "sources"),
    [("dgd", ["input", "grad"]), ("sgd", ["grad", "param"]), ("dmgd", ["m", "grad"])],
)
def test_what_moves_a_parameter_is_named_through_all_ops(run, name, sources) -> None:
    optimizer = f"training.optimizer={name}"
    told = json.loads(run("show", "transformer-tiny", "--set", optimizer, "--json").stdout)
    (first, *_) = (m for m in told["optimizer"]["memories"] if m["path"].endswith("/param"))
    assert first["learns_from"] == sources


def test_every_name_of_a_file_is_shown_with_the_file_that_it_means(run) -> None:
    Path("b").mkdir()
    Path("b/m.yaml").write_text(
        "nestgraph: 1\nname: b\nextends: transformer-tiny\ntraining: {optimizer: adamw}\n"
    )
    Path("b/adamw.yaml").write_text("nestgraph: 1\nname: mine\nextends: lion\n")
    Path("m.yaml").write_text("nestgraph: 1\nname: m\nextends: b/m.yaml\n")
    told = run("show", "m.yaml").stdout.partition("Files that it names\n")[2].partition("\n\n")[0]
    rows = dict(reversed(row.split("  from ")) for row in told.splitlines())
    assert rows["m.yaml:3:10"].strip() == "b/m.yaml"
    assert rows["b/m.yaml:4:23"].strip() == "b/adamw.yaml"
    assert rows["b/m.yaml:3:10"].strip().endswith("specs/transformer-tiny.yaml")
    files = json.loads(run("show", "m.yaml", "--json").stdout)["files"]
    assert {"file": "b/adamw.yaml", "from": "b/m.yaml:4:23"} in files
