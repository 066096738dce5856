"""Facts about a system before it runs: parameters, levels, costs, clocks, support."""
