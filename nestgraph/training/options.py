"""What to train: options of the command line, the spec, and the spec of a resumed run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nestgraph.errors import InputError
from nestgraph.training import checkpoint

if TYPE_CHECKING:
    from nestgraph.language.spec import Spec


DATA = "training.data"


def refuse_for_now(*, devices: str, strategy: str, precision: str) -> None:
    """Refuse what training can't do yet.

    Raises:
        InputError: naming the option, its value and the one that works.
    """
    wanted = {"devices": devices, "strategy": strategy, "precision": precision}
    known = {"devices": ("1",), "strategy": ("auto",), "precision": ("32-true", "32")}
    for option, value in wanted.items():
        if str(value) not in known[option]:
            raise InputError(
                "NG920",
                f"training with {option} {value} is not supported yet",
                f"leave --{option} at {known[option][0]}",
            )


def wished(*, max_steps: int | None, data: str | None, seed: int | None) -> dict[str, object]:
    """Return options of the command line as overrides of the spec."""
    wishes = {
        "training.steps": max_steps,
        DATA: None if data is None else json.dumps(data),  # texts are read as YAML
        "training.seed": seed,
    }
    return {path: value for path, value in wishes.items() if value is not None}


def spec_of_run(
    spec: Spec | None, content: dict[str, Any] | None, settings: dict[str, object]
) -> Spec:
    """Return the spec to train: the given one, or that of the checkpoint, with the wishes applied.

    Raises:
        InputError: when a checkpoint is resumed with another spec than its own.
    """
    if content is None:
        if spec is None:
            raise InputError(
                "NG723", "there is nothing to train", "name a spec, or a run to resume"
            )
        return with_settings(spec, settings)
    kept = checkpoint.spec_of(content)
    if spec is None:
        return with_settings(kept, settings)
    tuned = {path: value for path, value in spec.overrides.items() if path.startswith("training.")}
    given = with_settings(spec, {**kept.overrides, **spec.overrides})
    if DATA not in tuned:  # the run says its text as a path of its own
        given, own = _without_data(given), _without_data(with_settings(kept, tuned))
    else:
        own = with_settings(kept, tuned)
    if given.resolved_yaml() != own.resolved_yaml():
        raise InputError(
            "NG723",
            f"`{spec.path}` is not what the run was started with",
            "leave it away to go on with the run's own spec, or start a new run; only settings of"
            " `training` may change",
        )
    return with_settings(kept, {**tuned, **settings})


def with_settings(spec: Spec, settings: Mapping[str, object]) -> Spec:
    """Return the same spec with more overrides."""
    if not settings:
        return spec
    overrides = {**spec.overrides, **settings}
    return type(spec).from_sources(spec.sources, spec.path, overrides, spec.shipped)


def _without_data(spec: Spec) -> Spec:
    """Return the same spec, with the text that its files name."""
    rest = {path: value for path, value in spec.overrides.items() if path != DATA}
    return type(spec).from_sources(spec.sources, spec.path, rest, spec.shipped)
