"""Words of other tools and frameworks, and how this language says the same.

Spelling is taken apart from meaning: `LayerNorm`, `layer-norm` and `layer_norm` are one word.
"""

from __future__ import annotations

_LEFT_OUT = {ord(letter): None for letter in "_-. "}


def folded(word: str) -> str:
    """Return a word without case, `_`, `-`, `.` and blanks."""
    return word.lower().translate(_LEFT_OUT)


HABITS: dict[str, tuple[str, ...]] = {
    "activation_fn": ("activation",),
    "act": ("activation",),
    "add": ("sum",),
    "alpha": ("retain",),
    "args": ("with",),
    "attn": ("attention",),
    "average": ("mean",),
    "avg": ("mean",),
    "batch_size": ("batch",),
    "beta": ("momentum",),
    "block_size": ("context",),
    "bs": ("batch",),
    "causal_conv1d": ("conv",),
    "clip_grad_norm": ("clip",),
    "clock": ("level",),
    "const": ("constant",),
    "context_length": ("context",),
    "conv1d": ("conv",),
    "count": ("repeat", "times"),
    "ctx_len": ("context",),
    "d_model": ("width",),
    "dataset": ("data",),
    "decay": ("retain", "weight_decay"),
    "dense": ("linear",),
    "depth": ("repeat", "layers"),
    "depthwise_conv": ("conv",),
    "dim": ("width", "out"),
    "div": ("divide",),
    "embed_dim": ("width",),
    "embedding": ("embed",),
    "epochs": ("steps",),
    "eta": ("rate",),
    "eval_interval": ("val_interval",),
    "every": ("level", "period"),
    "factor": ("scale",),
    "fc": ("linear",),
    "feed_forward": ("mlp",),
    "ffn": ("mlp",),
    "forget": ("retain",),
    "frequency": ("level",),
    "from": ("memory",),
    "fully_connected": ("linear",),
    "grad_clip": ("clip",),
    "gradient_clip": ("clip",),
    "gradient_clip_val": ("clip",),
    "cross_entropy": ("task",),
    "hadamard": ("product",),
    "hard_swish": ("silu",),
    "hidden": ("expansion",),
    "hidden_dim": ("width", "out"),
    "hidden_size": ("width", "out"),
    "in_features": ("in",),
    "input": ("in",),
    "inputs": ("in",),
    "iterations": ("steps",),
    "iters": ("steps",),
    "kernel": ("width",),
    "kernel_size": ("width",),
    "key": ("keys",),
    "leaky_relu": ("relu",),
    "learning_rate": ("lr", "rate"),
    "loss": ("objective",),
    "lr": ("rate",),
    "matmul": ("linear",),
    "max_grad_norm": ("clip",),
    "max_iters": ("steps",),
    "max_length": ("context",),
    "max_seq_len": ("context",),
    "max_steps": ("steps",),
    "maximum": ("max",),
    "mish": ("silu",),
    "mse": ("l2",),
    "mul": ("product",),
    "multiply": ("product",),
    "n": ("repeat", "times"),
    "n_ctx": ("context",),
    "n_embd": ("width",),
    "n_head": ("heads",),
    "n_heads": ("heads",),
    "n_layer": ("layers", "repeat"),
    "n_layers": ("layers", "repeat"),
    "nag": ("nesterov",),
    "narrow": ("slice",),
    "normalize": ("l2_norm",),
    "num_attention_heads": ("heads",),
    "num_heads": ("heads",),
    "num_hidden_layers": ("layers", "repeat"),
    "num_layers": ("layers", "repeat"),
    "num_steps": ("steps",),
    "num_tokens": ("vocab",),
    "op": ("kind",),
    "optim": ("optimizer",),
    "out_features": ("out",),
    "output": ("out",),
    "parameter": ("constant",),
    "params": ("with",),
    "period": ("level",),
    "plus": ("sum",),
    "pow": ("power",),
    "proj": ("linear",),
    "projection": ("linear",),
    "query": ("keys",),
    "random_seed": ("seed",),
    "reduce_mean": ("mean",),
    "reduce_sum": ("total",),
    "rotary": ("rope",),
    "rotary_embedding": ("rope",),
    "scale": ("weights", "affine"),
    "seq_len": ("context",),
    "sequence_length": ("context",),
    "sgdm": ("momentum",),
    "size": ("out", "width"),
    "swish": ("silu",),
    "times": ("repeat",),
    "total_steps": ("steps",),
    "type": ("kind", "op"),
    "update_every": ("level",),
    "value": ("values",),
    "vocab_size": ("vocab",),
    "vocabulary": ("vocab",),
    "warmup_steps": ("warmup",),
    "wd": ("weight_decay",),
}

_ATTENTION = (
    "attention is a memory: `M: {net: attention, keys: k, values: v}`, which a node "
    "`{read: M, query: q}` asks"
)
_FEED_FORWARD = (
    "chain ops: `{op: linear, in: x, out: 4 * $width, then: [silu, {op: linear, out: $width}]}`, "
    "or give a memory `net: mlp`"
)
_JOINED = (
    "flows can't be joined: a `linear` of each and their `sum` is one matrix on what is joined"
)
_HEADED = "heads are runs of a flow's width: `slice`, `repeat` and `tile` take and repeat them"
_GATED = "a gate is a product: `{op: product, in: [gate, up]}`, where `gate` ends in `then: [silu]`"
_WINDOW = "write `net: {kind: attention, window: ...}`"
_ITS_OWN = (
    "an optimizer's own numbers are its vars: `optimizer: {extends: adamw, vars: {eps: ...}}`"
)
_SCHEDULE = "the rate rises for `warmup` steps and falls along a cosine to `min_lr`"

OTHERWISE: dict[str, str] = {
    "abs": "no op takes absolute values; the nearest is `relu`",
    "attention": _ATTENTION,
    "attn": _ATTENTION,
    "batch_norm": "norms look at one position alone; the nearest is `layer_norm`",
    "beta1": "write `betas: [beta1, beta2]`",
    "beta2": "write `betas: [beta1, beta2]`",
    "cat": _JOINED,
    "chunk": "write a `{op: slice, start: 0, size: ...}` for each part",
    "concat": _JOINED,
    "concatenate": _JOINED,
    "cumsum": "what adds up over positions is a memory: `{net: vector, values: v}`",
    "drop_path": "the language has no dropout; the nearest is `training: {weight_decay: ...}`",
    "dropout": "the language has no dropout; the nearest is `training: {weight_decay: ...}`",
    "elu": "the nearest op is `silu`",
    "feed_forward": _FEED_FORWARD,
    "ffn": _FEED_FORWARD,
    "eps": _ITS_OWN,
    "epsilon": _ITS_OWN,
    "geglu": _GATED,
    "glu": _GATED,
    "group_norm": "write `{op: layer_norm, heads: ...}`, which takes each run by itself",
    "gru": "a layer that remembers is a memory with a `rule`; `nestgraph list` shows some",
    "instance_norm": "norms look at one position alone; the nearest is `layer_norm`",
    "l1": "write `{kind: lp, p: 1}`",
    "log": "no op takes logarithms; the nearest is `softplus`",
    "lr_scheduler": _SCHEDULE,
    "lstm": "a layer that remembers is a memory with a `rule`; `nestgraph list` shows some",
    "mae": "write `{kind: lp, p: 1}`",
    "mha": _ATTENTION,
    "min": "the smaller of two is `-max(-a, -b)`: `affine` with `scale: -1`, then `max`, and again",
    "minus": "write `{op: sum, in: [a, b], weights: [1, -1]}`",
    "mlp": _FEED_FORWARD,
    "multi_head_attention": _ATTENTION,
    "neg": "write `{op: affine, scale: -1}`",
    "permute": _HEADED,
    "positional_encoding": "write `rope` for queries and keys, or `{op: position}`",
    "reciprocal": "write `{op: power, exponent: -1}`",
    "reshape": _HEADED,
    "rsqrt": "write `{op: power, exponent: -0.5}`",
    "scaled_dot_product_attention": _ATTENTION,
    "scheduler": _SCHEDULE,
    "sdpa": _ATTENTION,
    "self_attention": _ATTENTION,
    "shift": "write `{op: conv, width: 2}`, a learned shift by one token",
    "sliding_window": _WINDOW,
    "sliding_window_attention": _WINDOW,
    "split": "write a `{op: slice, start: 0, size: ...}` for each part",
    "sqrt": "write `{op: power, exponent: 0.5}`",
    "square": "write `{op: power, exponent: 2}`",
    "sub": "write `{op: sum, in: [a, b], weights: [1, -1]}`",
    "subtract": "write `{op: sum, in: [a, b], weights: [1, -1]}`",
    "swa": _WINDOW,
    "swiglu": _GATED,
    "token_shift": "write `{op: conv, width: 2}`, a learned shift by one token",
    "view": _HEADED,
}
"""What has no word of its own here, and how it is said, or what comes nearest."""

_MEANT = {folded(word): meant for word, meant in HABITS.items()}
_OTHERWISE = {folded(word): sentence for word, sentence in OTHERWISE.items()}


def meant_by(word: str) -> tuple[str, ...]:
    """Return the words of this language that a word of another tool may stand for."""
    return _MEANT.get(folded(word), ())


def otherwise(word: str) -> str:
    """Return how the language says what has no word here; empty for a word that is not known."""
    return _OTHERWISE.get(folded(word), "")


def is_foreign(word: str) -> bool:
    """Return whether a word belongs to other tools, so that it is hardly a typo of one of ours."""
    return folded(word) in _MEANT or folded(word) in _OTHERWISE
