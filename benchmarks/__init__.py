"""Measurements of nestgraph: speed against plain PyTorch, and what short trainings reach.

    python -m benchmarks transformer        # in a checkout
    python benchmarks/run.py transformer    # anywhere: takes the installed package

`docs/benchmarks.md` says what each of them measures.
"""
