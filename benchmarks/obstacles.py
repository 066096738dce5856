"""What a step does beside matrix products, from a profile of its operators."""

from __future__ import annotations

from collections import Counter

from benchmarks.memory import silent_stderr
from benchmarks.steps import Step

PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "addbmm", "mkldnn_linear", "dot"}
GROUPS = {
    "copies": {"copy", "cat", "stack", "clone", "contiguous", "fill", "zero", "constant_pad_nd"},
    "sums and scans": {"sum", "mean", "cumsum", "cumprod", "norm", "linalg_vector_norm", "flip"},
    "convolutions": {"convolution", "mkldnn_convolution", "convolution_backward"},
    "attention": {"_scaled_dot_product_flash_attention_for_cpu"},
}
ELEMENTWISE, OVERHEAD = "elementwise", "overhead of small operators"
MOST = 3


def obstacles(step: Step) -> str:
    """Return the largest groups of operators but products, with their share of the step's time."""
    shares = shares_of(step)
    others = [(name, share) for name, share in shares.most_common() if name != "products"]
    return ", ".join(f"{name} {share:.0%}" for name, share in others[:MOST] if share >= 0.05)


def shares_of(step: Step) -> Counter[str]:
    """Return share of each group in the time of a step; what is in no operator is overhead."""
    from torch.profiler import ProfilerActivity, profile

    with silent_stderr(), profile(activities=[ProfilerActivity.CPU], acc_events=True) as seen:
        step()
    times: Counter[str] = Counter()
    for event in seen.key_averages():
        times[_group(event.key)] += event.self_cpu_time_total
    whole = sum(times.values()) or 1.0
    return Counter({name: spent / whole for name, spent in times.items()})


def _group(key: str) -> str:
    if not key.startswith("aten::"):
        return OVERHEAD
    name = key.removeprefix("aten::").rstrip("_")
    if name in PRODUCTS:
        return "products"
    for group, members in GROUPS.items():
        if name in members or (group == "attention" and "flash_attention" in name):
            return group
    return ELEMENTWISE
