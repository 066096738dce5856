"""Files of clocks: a Hugging Face network, its levels, and what moves on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nestgraph import SpecError, load
from nestgraph.cli.commands import app
from nestgraph.rewriting.stacking import StackedLevel, load_stacking

GOOD = """\
nestgraph: 1
name: llama-online
network: llama
vars: {rate: 1e-4, fast: 128}
levels:
  fast: $fast tokens
  slow: $fast * 4 tokens
mlps:
  - {layers: 0-1, level: fast, rate: $rate}
  - {layers: [2, 4-5], level: slow, rate: $rate / 2}
"""


def written(folder: Path, text: str = GOOD, name: str = "clocks.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def findings(path: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_stacking(path)
    return [str(one).removeprefix(f"{path}:") for one in caught.value.diagnostics]


def test_a_file_says_the_network_and_its_levels(tmp_path: Path) -> None:
    stacking = load_stacking(written(tmp_path))

    assert stacking.network == "llama"
    assert stacking.levels == (
        StackedLevel(period=128, layers=(0, 1), rate=1e-4),
        StackedLevel(period=512, layers=(2, 4, 5), rate=5e-5),
    )


def test_a_folder_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "base" / "llama").mkdir(parents=True)
    written(tmp_path / "base")
    over = "nestgraph: 1\nname: faster\nextends: base/clocks.yaml\nvars: {fast: 32}\n"

    stacking = load_stacking(written(tmp_path, over), {"vars.rate": "0"})

    assert stacking.network == str(tmp_path / "base" / "llama")
    assert [(level.period, level.rate) for level in stacking.levels] == [(32, 0.0), (128, 0.0)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "rate: $rate}",
            "rte: $rate}",
            "9:32: NG103 unknown key `rte` in `mlps.0`; did you",
        ),
        ("rate: $rate}", "rate: -1}", "9:38: NG104 `mlps.0.rate` of the file of clocks is -1"),
        ("rate: $rate}", "rate: $rat}", "9:38: NG108 no var is called `$rat`"),
        ("rate: $rate}", "rule: muon, rate: $rate}", "9:32: NG103 unknown key `rule`"),
        ("layers: 0-1", "layers: 1-0", "9:14: NG104 `layers` names `1-0`"),
        ("layers: 0-1", "layers: [0, a]", "9:18: NG104 `layers` names `a`"),
        ("layers: 0-1", "layers: 0-2", "10:14: NG763 layer 2 stands on two levels"),
        ("level: slow", "level: slwo", "10:31: NG204 `level: slwo` names no level"),
        ("$fast * 4 tokens", "100 tokens", "6:3: NG763 a level of 128 tokens isn't whole periods"),
        ("$fast * 4 tokens", "8 steps", "10:31: NG763 level `slow` counts steps"),
        ("network: llama", "netwrk: llama", "3:1: NG103 unknown key `netwrk`"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    found = findings(written(tmp_path, GOOD.replace(old, new, 1)))

    assert len(found) == 1, found
    assert found[0].startswith(expected)


def test_all_mistakes_are_told_in_one_run(tmp_path: Path) -> None:
    text = GOOD.replace("rate: $rate}", "rte: -1}").replace("$fast * 4", "130")
    found = findings(written(tmp_path, text.replace("[2, 4-5]", "[2, x, 1]")))

    assert [one.split()[1] for one in found] == [
        "NG763",  # 130 tokens
        "NG103",  # `rte`
        "NG104",  # -1
        "NG763",  # layer 1 again
        "NG104",  # `x`
    ]


def test_check_knows_such_a_file(tmp_path: Path) -> None:
    good, bad = written(tmp_path), written(tmp_path, GOOD.replace("0-1", "7-6"), "bad.yaml")
    result = CliRunner().invoke(app, ["check", good, bad])

    assert result.exit_code == 2
    assert f"{good}: no problems" in result.stdout
    assert f"{bad}:9:14: NG104 `layers` names `7-6`" in result.stdout


def test_other_commands_send_one_to_stack(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="nestgraph stack FILE"):
        load(written(tmp_path))
