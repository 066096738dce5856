"""What the options of the benchmarks become."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import continual, optimizer_plan, yardstick, zoo
from benchmarks.cli import filled, main, parser

PLANS: dict[str, type] = {
    "yardstick": yardstick.Plan,
    "zoo": zoo.Plan,
    "optimizers-on-text": optimizer_plan.Plan,
    "continual": continual.Plan,
}


@pytest.mark.parametrize("name", PLANS)
def test_every_field_of_a_plan_has_its_option(name: str) -> None:
    plan = filled(PLANS[name], parser().parse_args([name, "--out", "there", "--threads", "3"]))

    assert (plan.out, plan.threads) == (Path("there"), 3)


def test_lists_become_tuples_and_a_plan_may_know_better() -> None:
    asked = ["optimizers-on-text", "--only", "hope", "adamw", "--table", "--rates", "1"]
    plan = filled(optimizer_plan.Plan, parser().parse_args(asked), rates=(0.5,))

    assert plan.only == ("hope", "adamw")
    assert plan.rates == (0.5,)
    assert plan.table_only


def test_what_makes_no_sense_ends_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["yardstick", "hope-tinny"])
    assert end.value.code == 2
    assert "did you mean `hope-tiny`" in capsys.readouterr().err
