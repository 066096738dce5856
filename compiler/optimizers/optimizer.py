"""The `torch.optim.Optimizer` that a compiled spec is.

Choices that matter:

* Every group of parameters is split by the spec's groups, so that one entry of `param_groups` has
  one program, one clock and one learning rate; schedulers and clipping see nothing unusual.
* A group may have a `period` of N steps: its gradients are pooled, and its program runs at every
  N-th step on their mean, as if the spec began with `{op: pool, how: mean}`. It is the same clock
  and the same sum that the `pool` of a spec is.
* All that is remembered lies in `state`, a tensor or a whole number for each name, so that a
  state that is saved in the middle of any period goes on with the same numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nestgraph.analysis.fitting import HINTS, NO_GROUP, misfit, told
from nestgraph.compiler.optimizers import layout
from nestgraph.compiler.optimizers.capture import Capture
from nestgraph.compiler.optimizers.discover import discover, hosts
from nestgraph.compiler.optimizers.frame import Frame, Given, GraphCache
from nestgraph.compiler.optimizers.options import check_options
from nestgraph.compiler.optimizers.program import Program, describe
from nestgraph.compiler.optimizers.starts import first_layers
from nestgraph.errors import Diagnostic, InputError, SpecError
from nestgraph.findings import listed
from nestgraph.language.groups import Rule, Traits, choose
from nestgraph.language.system import Memory, System
from nestgraph.runtime.seeds import checked_seed

Group = dict[str, Any]
Member = tuple[int, Tensor, Tensor]  # place in the group, parameter, gradient
TURN = 1 << 20  # numbers of parameters that a processor works on at a time
RULE = "rule"  # place of the group's program
TRAITS = "traits"  # what is known of each parameter: kind, linear_map, stacked
NAMES = "names"
PERIOD = "period"  # steps from tick to tick
WAITED = "waited"  # steps since the last tick
UPDATES = "updates"  # ticks so far
LEVEL = "level"  # the name that updates are counted under
KINDS = ("kind", "linear_map", "stacked")
# What a group may say; `initial_lr` is what schedulers that go on look for.
OPTIONS = frozenset({"params", "lr", "maximize", "foreach", "initial_lr", PERIOD, LEVEL, *KINDS})


class NestedOptimizer(Optimizer):
    """Moves parameters as a spec says; `compile_optimizer` makes a subclass for each spec.

    Attributes:
        spec_name: name of the spec.
        system: what it means.
        blank: makes an optimizer without parameters again from that, for copies.
        rules: blocks with the parameters that they take.
        programs: one for each rule.
        seen: is given each group that ticks and the gradients that it ticks on; copies have none.
    """

    seen: Callable[[Group, list[Tensor]], None] | None = None
    spec_name: ClassVar[str] = ""
    system: ClassVar[System]
    blank: ClassVar[Callable[[System], NestedOptimizer]]
    rules: ClassVar[tuple[Rule, ...]] = ()
    programs: ClassVar[tuple[Program, ...]] = ()

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group] | Iterable[tuple[str, Tensor]],
        lr: float = 1e-3,
        *,
        maximize: bool = False,
        foreach: bool = True,
        seed: int = 0,
    ) -> None:
        """Take parameters.

        Args:
            params: tensors, (name, tensor) pairs, or groups of either. A group may say what its
                parameters are (`kind`: embeddings, head, vectors, hidden_matrices), whether they
                are weights of a linear map (`linear_map`) or stacks of matrices (`stacked`), how
                many steps they wait (`period`), and under which name their updates are counted
                (`level`).
            lr: the learning rate, before the factors of the spec's groups.
            maximize: climb in place of descending.
            foreach: do all parameters of a group at once; else one after the other, which takes
                less memory and more time.
            seed: of numbers that the spec draws.

        Raises:
            SpecError: a parameter doesn't fit its group.
            InputError: no group takes a parameter, one can't be moved or is given twice, an
                option is none of its kind or out of range, or a group says what none can
                (`betas`, say: they are the spec's).
        """
        defaults = {"lr": lr, "maximize": maximize, "foreach": foreach}
        check_options(defaults)
        self.seed = checked_seed(seed)
        self.capture = Capture()
        self._held: dict[Tensor, GraphCache] = {}
        self._count = 0
        self._off = False
        super().__init__(params, defaults)

    @classmethod
    def for_module(
        cls, module: nn.Module, lr: float = 1e-3, *, watch: bool = True, **options: Any
    ) -> NestedOptimizer:
        """Return an optimizer of all parameters of a module that need gradients.

        Weights of `nn.Embedding` are embeddings, those of `nn.Linear` linear maps; one that is
        called `head` or `lm_head` is the head; one that shares an embedding is an embedding.
        A model of nestgraph anywhere in the module says itself what its parameters are, and on
        which clocks. Where a group asks what layers are fed, the module is watched.
        """
        optimizer = cls(discover(module), lr, **options)
        if watch and optimizer.needs_inputs:
            optimizer.watch(module)
        return optimizer

    @property
    def needs_inputs(self) -> bool:
        """Return whether some group asks what its layers are fed, so that a module must be
        watched.
        """
        return any(self.programs[group[RULE]].reads_input for group in self.param_groups)

    def watch(self, module: nn.Module) -> None:
        """Note what the linear maps of a module are fed whenever it runs with gradients."""
        weights = [
            parameter
            for group in self.param_groups
            if self.programs[group[RULE]].reads_input
            for parameter in group["params"]
        ]
        for host in hosts(module):
            self.capture.watch(host, weights)

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters, in as many groups as the spec tells apart; their clocks start now."""
        if RULE in param_group:
            super().add_param_group(param_group)
            return
        unknown = sorted(set(param_group) - OPTIONS)
        if unknown:
            raise InputError(
                "NG751",
                f"a group of `{self.spec_name}` has no `{unknown[0]}`; it may say"
                f" {listed(sorted(OPTIONS))}",
                "what a spec computes is set with it: `ng.compile_optimizer(name, set={...})`",
            )
        for group in self._split(param_group):
            super().add_param_group(group)

    def _split(self, group: Group) -> Iterator[Group]:
        named = list(_named(group["params"], self._count))
        self._count += len(named)
        check_options(group)
        kinds = {key: group.get(key) for key in KINDS}
        given = [(name, parameter, _traits(name, parameter, kinds)) for name, parameter in named]
        self._check(given)
        found: dict[int, list[tuple[str, Tensor, Traits]]] = {}
        for name, parameter, traits in given:
            found.setdefault(self._rule_for(traits, parameter), []).append(
                (name, parameter, traits)
            )
        rest = {key: value for key, value in group.items() if key not in (*kinds, "params")}
        lr = group.get("lr", self.defaults["lr"])
        for rule, members in sorted(found.items(), key=lambda item: item[0]):
            yield {
                **rest,
                "params": [parameter for _, parameter, _ in members],
                NAMES: [name for name, _, _ in members],
                TRAITS: {"stacked": [traits.stacked for _, _, traits in members]},
                RULE: rule,
                "lr": lr * self.rules[rule].lr,
                PERIOD: group.get(PERIOD, 1),
                LEVEL: group.get(LEVEL, "step"),
                WAITED: 0,
                UPDATES: 0,
            }

    def _check(self, given: Sequence[tuple[str, Tensor, Traits]]) -> None:
        """Refuse parameters that can't be moved, or that would be moved twice a step."""
        known = {
            id(one): i
            for group in self.param_groups
            for i, one in zip(group[NAMES], group["params"], strict=True)
        }
        for name, parameter, traits in given:
            if id(parameter) in known:
                raise InputError(
                    "NG755",
                    f"`{name}` is given twice: it is the same tensor as `{known[id(parameter)]}`",
                    "give each parameter once; a shared weight has one name",
                )
            known[id(parameter)] = name
            layout.check(name, parameter, traits.stacked)

    def _rule_for(self, traits: Traits, parameter: Tensor) -> int:
        place = choose(self.rules, traits)
        if place is None:
            raise InputError(
                "NG341",
                f"no group of `{self.spec_name}` takes `{traits.name}` ({traits.sort})",
                NO_GROUP,
            )
        rule = self.rules[place]
        code = misfit(rule, traits)
        if code is not None:
            name = f"{traits.name} {tuple(parameter.shape)}"
            message = told(code, rule, [name])
            raise SpecError(
                [Diagnostic(code=code, message=message, span=rule.span, hint=HINTS[code])]
            )
        return place

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Return one step of every group that is due.

        A parameter without a gradient stays as it is, and so does the count of its steps.

        Args:
            closure: computes the loss and its gradients; called once, before anything else.

        Raises:
            InputError: a group asks what its layers are fed, and nobody watches them.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._off:
            self._off = False
            self.capture.drop()
            return loss
        self.capture.settle()
        for group in self.param_groups:
            group[WAITED] += 1
            if group[PERIOD] > 1:
                self._collect(group)
            if group[WAITED] >= group[PERIOD]:
                self._move(group)
                self.capture.forget(group["params"])
                group[WAITED] = 0
                group[UPDATES] += 1
        return loss

    def call_off(self) -> None:
        """Make the step that is under way, or else the next one, do nothing at all.

        No parameter, memory or clock moves: what is called off has not happened.
        """
        self._off = True
        self.capture.drop()

    def call_on(self) -> None:
        """Take back a `call_off` whose step never came, as when a `GradScaler` leaves it out."""
        self._off = False

    def updates(self) -> dict[str, int]:
        """Return how often each level has moved."""
        return {group[LEVEL]: group[UPDATES] for group in self.param_groups}

    def describe(self) -> str:
        """Return what runs for which parameters, at which steps."""
        lines = []
        for group in self.param_groups:
            rule = self.rules[group[RULE]]
            moves = "" if group[PERIOD] == 1 else f", every {group[PERIOD]} steps"
            lines.append(f"{rule.path}: {len(group['params'])} parameters{moves}")
            lines += [f"  {line}" for line in describe(self.programs[group[RULE]])]
        return "\n".join(lines)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take up a state as `state_dict` gave it.

        Raises:
            InputError: when it is another optimizer's.
        """
        theirs = [group.get(RULE) for group in state_dict.get("param_groups", ())]
        if theirs != [group[RULE] for group in self.param_groups]:
            raise InputError(
                "NG752",
                f"this state is not one of `{self.spec_name}` for these parameters",
                "build the optimizer as it was when the state was saved",
            )
        self._held.clear()
        given = copy.deepcopy(dict(state_dict))
        super().load_state_dict(given)
        self._widen(given)

    def _widen(self, given: Mapping[str, Any]) -> None:
        """Put back what PyTorch rounds to the type of the parameter when it reads a state."""
        places = [place for group in given["param_groups"] for place in group["params"]]
        parameters = [one for group in self.param_groups for one in group["params"]]
        for place, parameter in zip(places, parameters, strict=True):
            kind = layout.working(parameter.dtype)
            for key, value in given["state"].get(place, {}).items():
                if isinstance(value, Tensor) and kind != parameter.dtype:
                    self.state[parameter][key] = value.to(parameter.device, kind)

    def __getstate__(self) -> dict[str, Any]:
        own = {"seed": self.seed, "_count": self._count, "_off": self._off}
        return {**super().__getstate__(), **own, "capture": Capture(), "_held": {}}

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is made from the spec, so nobody can import it by name.
        return type(self).blank, (self.system,), self.__getstate__()

    def _collect(self, group: Group) -> None:
        """Pool the gradients of a group that waits."""
        for place, parameter in enumerate(group["params"]):
            gradient = _gradient(group, place)
            if gradient is None:
                continue
            total = self.state[parameter].get("waiting")
            if total is None:
                kind = layout.working(gradient.dtype)
                self.state[parameter]["waiting"] = gradient.detach().to(kind, copy=True)
            else:
                total.add_(gradient)

    def _move(self, group: Group) -> None:
        chosen = self._ready(group)
        if self.seen is not None:
            self.seen(group, [gradient for _, _, gradient in chosen])
        if not group["foreach"]:
            for one in chosen:
                self._run(group, [one])
            return
        alike: dict[int, list[Member]] = {}
        for one in chosen:
            alike.setdefault(self.state[one[1]].get("step", 0), []).append(one)
        for members in alike.values():
            for some in in_cache(members):
                self._run(group, some)

    def _ready(self, group: Group) -> list[Member]:
        """Return place, parameter and gradient of all that have one; pooled ones are used up."""
        found = []
        for place, parameter in enumerate(group["params"]):
            if group[PERIOD] > 1:
                gradient = self.state[parameter].pop("waiting", None)
                gradient = None if gradient is None else gradient.div_(group[WAITED])
            else:
                gradient = _gradient(group, place)
            if gradient is None or not parameter.numel():
                continue  # there is nothing to move
            found.append((place, parameter, gradient))
        return found

    def _run(self, group: Group, members: list[Member]) -> None:
        program = self.programs[group[RULE]]
        names = group[NAMES]
        moved = [self._view(group, place, p) for place, p, _ in members]
        gradients = [self._view(group, place, g) for place, _, g in members]
        states = [self.state[p] for _, p, _ in members]
        step = states[0].get("step", 0) + 1

        def first(memory: Memory, place: int) -> list[Tensor]:
            name = names[members[place][0]]
            return first_layers(program, memory, moved[place], name, self.seed)

        given = Given(
            parameters=moved,
            gradients=gradients,
            maximize=group["maximize"],
            states=states,
            held=[self._held.setdefault(p, {}) for _, p, _ in members],
            grams=self._grams(group, members) if program.reads_input else [],
            lr=float(group["lr"]),
            step=step,
            first=first,
        )
        Frame(program, given).run()
        layout.put_back([parameter for _, parameter, _ in members], moved)
        for state in states:
            state["step"] = step

    def _view(self, group: Group, place: int, x: Tensor) -> Tensor:
        """Return a parameter of a group, or its gradient, as the group's program sees it."""
        stacked = group[TRAITS]["stacked"][place]
        return layout.seen(x, rows=self.programs[group[RULE]].rows, stacked=stacked)

    def _grams(self, group: Group, members: list[Member]) -> list[Tensor]:
        found = []
        for place, parameter, _ in members:
            gram = self.capture.take(parameter)
            if gram is None:
                raise InputError(
                    "NG753",
                    f"nothing has noted what `{group[NAMES][place]}` was fed",
                    "call `optimizer.watch(module)` before the module runs",
                )
            found.append(gram.to(parameter.device, layout.working(parameter.dtype)))
        return found


def in_cache(members: list[Member]) -> Iterator[list[Member]]:
    """Yield members in turns whose states stay in a processor's cache from one pass to the next.

    A step takes a dozen passes over the same numbers, and each iteration of Newton–Schulz three
    more over its matrices in bfloat16: on one core M3 took 1.1 times as long as Muon in turns, and
    1.3 times over all at once. Those of one shape come together, so that they can be stacked.
    On a GPU all go at once: there a launch costs more than a pass.
    """
    if members[0][1].is_cuda:
        yield members
        return
    turn: list[Member] = []
    size = 0
    for member in sorted(members, key=lambda one: tuple(one[1].shape)):
        if turn and size + member[1].numel() > TURN:
            yield turn
            turn, size = [], 0
        turn.append(member)
        size += member[1].numel()
    yield turn


def _gradient(group: Group, place: int) -> Tensor | None:
    """Return the gradient of a parameter of a group; None where it has none."""
    gradient: Tensor | None = group["params"][place].grad
    if gradient is not None and gradient.layout != torch.strided:
        kind = layout.told(gradient.layout)
        raise InputError(
            "NG751",
            f"the gradient of `{group[NAMES][place]}` is {kind}; an optimizer takes dense ones",
            "build its layer without `sparse=True`",
        )
    return gradient


def _named(params: object, count: int) -> Iterator[tuple[str, Tensor]]:
    given = [params] if isinstance(params, Tensor) else params
    if not isinstance(given, Iterable) or isinstance(given, set):
        raise TypeError(f"parameters must come in an order, as a list, not {type(given).__name__}")
    for place, item in enumerate(given):
        name, tensor = item if isinstance(item, tuple) else (str(count + place), item)
        if not isinstance(tensor, Tensor):
            raise TypeError(f"an optimizer moves tensors, not {type(tensor).__name__}")
        yield name, tensor


def _traits(name: str, parameter: Tensor, given: Mapping[str, Any]) -> Traits:
    traits = Traits(name=name, axes=parameter.ndim)
    said = {key: value for key, value in given.items() if value is not None}
    return replace(traits, **said)
