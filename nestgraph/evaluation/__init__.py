"""What `nestgraph eval` measures: tasks, how models are trained and scored on them, controls."""
