"""`nestgraph view`: pictures in a browser, drawn anew whenever a spec is saved."""

from __future__ import annotations

import errno
import webbrowser

from nestgraph.cli.opening import settings
from nestgraph.cli.saying import say
from nestgraph.errors import InputError


def view_specs(paths: list[str], port: int, show: bool, changes: list[str]) -> None:
    """Serve the page until it is interrupted."""
    from nestgraph.viz.live.serve import HOST, Server
    from nestgraph.viz.live.watch import Watched

    specs = [Watched(name=path, changes=settings(changes)) for path in paths]
    try:
        server = Server(specs, port)
    except OSError as error:
        what = "is taken" if error.errno == errno.EADDRINUSE else "can't be opened"
        hint = "give another with --port, or none for a free one"
        message = f"port {port} of {HOST} {what}: {error.strerror}"
        raise InputError("NG810", message, hint) from error
    say(f"{server.address}  (Ctrl-C ends it)")
    if show:
        webbrowser.open(server.address)
    server.run()
