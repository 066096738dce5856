"""Lightning without its announcements."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning from announcing devices, tips and why it stopped."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Lightning's own use of PyTorch's tree functions; nothing a user could change.
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        try:
            yield
        finally:
            logger.setLevel(level)
