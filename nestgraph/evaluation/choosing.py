"""A task by a text: its name, and settings behind a colon, as in `mqar:K=16,T=128`."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

from nestgraph.errors import InputError
from nestgraph.evaluation import tasks
from nestgraph.evaluation.task import Maker, Task, Value, makers
from nestgraph.findings import did_you_mean, listed

TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a setting of a task may be."""

    name: str
    kind: Any
    default: Value


def names() -> tuple[str, ...]:
    """Return names of all tasks, sorted."""
    return tuple(sorted(_known()))


def find_task(text: str) -> Task:
    """Return the task that a text names, with its settings.

    Args:
        text: a name, and `SETTING=VALUE` behind a colon, with commas between several.

    Raises:
        InputError: there is no such task (NG930), or it can't take the settings (NG931).
    """
    name, colon, rest = text.partition(":")
    known, name = _known(), name.strip()
    if name not in known:
        hint = did_you_mean(name, known, limit=0) or "`nestgraph eval --list` shows all"
        raise InputError("NG930", f"no task is called `{name}`", hint)
    if colon and not rest.strip():
        said = f"`{text}` has no setting behind the colon"
        raise InputError("NG931", said, _usage(name, known[name]))
    return make(name, **_read(name, known[name], rest))


def make(name: str, **settings: Value) -> Task:
    """Return the task of a name with some settings; the others are its defaults.

    Raises:
        InputError: a setting is out of its range (NG931).
    """
    maker = _known()[name]
    whole = {each.name: each.default for each in settings_of(maker)} | settings
    made = maker(**settings)
    assert made.name == name, f"{made.name} is registered as {name}"
    return replace(made, settings=whole)


def settings_of(maker: Maker) -> tuple[Setting, ...]:
    """Return the settings that a task has, in the order in which it tells them."""
    parameters = inspect.signature(maker, eval_str=True).parameters.values()
    return tuple(Setting(name=p.name, kind=p.annotation, default=p.default) for p in parameters)


def _known() -> dict[str, Maker]:
    for module in pkgutil.iter_modules(tasks.__path__):
        importlib.import_module(f"{tasks.__name__}.{module.name}")
    return dict(makers())


def _read(name: str, maker: Maker, text: str) -> dict[str, Value]:
    known = {setting.name: setting for setting in settings_of(maker)}
    found: dict[str, Value] = {}
    for part in text.split(",") if text.strip() else ():
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not key:
            said = f"`{part.strip()}` is no setting of the task `{name}`"
            raise InputError("NG931", said, _usage(name, maker))
        if key not in known:
            hint = did_you_mean(key, known) or _usage(name, maker)
            raise InputError("NG931", f"the task `{name}` has no setting `{key}`", hint)
        if key in found:
            raise InputError("NG931", f"`{key}` is set twice", "leave one of them away")
        found[key] = _value(known[key], value)
    return found


def _value(setting: Setting, text: str) -> Value:
    if get_origin(setting.kind) is Literal:
        choices = [str(choice) for choice in get_args(setting.kind)]
        return text if text in choices else _refuse(setting, text, listed(choices, "or"))
    if setting.kind is bool:
        return TRUTHS[text] if text in TRUTHS else _refuse(setting, text, "true or false")
    if setting.kind is int:
        whole = text.removeprefix("-")
        fits = whole.isascii() and whole.isdecimal() and len(whole) < 19
        return int(text) if fits else _refuse(setting, text, "a whole number")
    if setting.kind is float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        return number if math.isfinite(number) else _refuse(setting, text, "a number")
    assert setting.kind is str, f"{setting.name}: {setting.kind} can't be read"
    return text if text else _refuse(setting, text, "a word")


def _refuse(setting: Setting, text: str, wanted: str) -> Value:
    said = f"`{setting.name}` (={text}) must be {wanted}"
    raise InputError("NG931", said, f"the default is {setting.default}")


def _usage(name: str, maker: Maker) -> str:
    settings = settings_of(maker)
    if not settings:
        return f"`{name}` has no settings"
    first = settings[0]
    told = listed(f"`{each.name}`" for each in settings)
    return f"write `{name}:{first.name}={first.default}`; it has {told}"
