"""What a model that learned one task after another knows of each: the matrix R and its summaries.

R[i][j] is the score on task j after training on task i, b[j] that of the untrained model; T tasks.
A score is more if it is better: of a loss, its negative. Authors define forgetting differently, so
it is asked for by their name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeAlias

Variant: TypeAlias = Literal["chaudhry", "mammoth", "avalanche"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinualMatrix:
    """Scores of a model that was trained on two tasks or more, one after another.

    Attributes:
        scores: R, a row for each task that was learned, a column for each that was scored.
        untrained: b, the scores before the first.
    """

    scores: Sequence[Sequence[float]]
    untrained: Sequence[float]

    def __post_init__(self) -> None:
        tasks = len(self.scores)
        assert tasks > 1, "what one task alone has forgotten is not defined"
        assert all(len(row) == tasks for row in self.scores), "R is square"
        assert len(self.untrained) == tasks, "b has a score for each task"

    @property
    def tasks(self) -> int:
        """T."""
        return len(self.scores)

    @property
    def last(self) -> Sequence[float]:
        """The scores after all tasks."""
        return self.scores[-1]

    def accuracy(self) -> float:
        """Return ACC, the mean score after all tasks: mean_j R[T-1][j]."""
        return fmean(self.last)

    def incremental(self) -> float:
        """Return average incremental accuracy (iCaRL): of the tasks so far, after each."""
        return fmean(fmean(row[: i + 1]) for i, row in enumerate(self.scores))

    def learned(self) -> float:
        """Return the mean score on a task right after it was learned: mean_i R[i][i]."""
        return fmean(self.scores[i][i] for i in range(self.tasks))

    def gained(self) -> float:
        """Return how much of that the untrained model lacked: mean_i (R[i][i] - b[i])."""
        return self.learned() - fmean(self.untrained)

    def forgetting(self, variant: Variant = "chaudhry") -> float:
        """Return the mean loss of score on all tasks but the last.

        Args:
            variant: against what the last row is held. `chaudhry` (2018): the best row from the
                task's own to the last but one; it may be negative. `mammoth`: the best from its own
                to the last; never negative. `avalanche`: its own row.
        """
        return fmean(self._best(j, variant) - self.last[j] for j in range(self.tasks - 1))

    def backward(self) -> float:
        """Return BWT (Lopez-Paz and Ranzato 2017): mean_{j<T-1} (R[T-1][j] - R[j][j]).

        The code of GEM divides by T in place of T - 1.
        """
        return fmean(self.last[j] - self.scores[j][j] for j in range(self.tasks - 1))

    def forward(self) -> float:
        """Return FWT (the same): mean_{j>0} (R[j-1][j] - b[j])."""
        return fmean(self.scores[j - 1][j] - self.untrained[j] for j in range(1, self.tasks))

    def _best(self, task: int, variant: Variant) -> float:
        own = [row[task] for row in self.scores[task:]]
        if variant == "avalanche":
            return own[0]
        return max(own if variant == "mammoth" else own[:-1])
