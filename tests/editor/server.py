"""A small client of the language server protocol, enough to ask yaml-language-server."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Server:
    """A running yaml-language-server with one open file at a time.

    Args:
        program: the server.
        schema: the JSON schema that it applies to every YAML file.
    """

    def __init__(self, program: str, schema: Path) -> None:
        self._process = subprocess.Popen(
            [program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._settings = {
            "yaml": {
                "schemas": {schema.as_uri(): "*.yaml"},
                "completion": True,
                "hover": True,
                "validate": True,
                "schemaStore": {"enable": False},
            }
        }
        self._numbers = itertools.count(1)
        self._files = itertools.count(1)
        self._diagnostics: dict[str, list[Json]] = {}
        capabilities: Json = {"textDocument": {"hover": {"contentFormat": ["markdown"]}}}
        self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": self._settings})

    def open(self, text: str) -> str:
        """Open a text as a new file; answers its address."""
        uri = f"file:///spec-{next(self._files)}.yaml"
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def complete(self, text: str) -> list[Json]:
        """Return what is offered where `|` stands."""
        answer = self._ask("textDocument/completion", self._at(text))
        items = answer["items"] if isinstance(answer, dict) else answer
        return list(items or [])

    def hover(self, text: str) -> str:
        """Return what is told about the word at `|`."""
        answer = self._ask("textDocument/hover", self._at(text))
        contents = answer["contents"] if answer else ""
        return contents["value"] if isinstance(contents, dict) else str(contents)

    def problems(self, text: str) -> list[Json]:
        """Return what is underlined."""
        uri = self.open(text)
        while uri not in self._diagnostics:
            self._hear()
        return self._diagnostics[uri]

    def close(self) -> None:
        """End the server."""
        self._ask("shutdown", None)
        self._tell("exit", None)
        self._process.wait(timeout=60)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def _at(self, text: str) -> Json:
        before, _, after = text.partition("|")
        uri = self.open(before + after)
        position = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        return {"textDocument": {"uri": uri}, "position": position}

    def _ask(self, method: str, parameters: Any) -> Any:
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._hear()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _tell(self, method: str, parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: Json) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _hear(self) -> Json:
        """Return the next message; questions of the server are answered, diagnostics kept."""
        output = self._process.stdout
        assert output is not None
        length = 0
        while line := output.readline().strip():
            name, _, value = line.decode().partition(":")
            length = int(value) if name.lower() == "content-length" else length
        message: Json = json.loads(output.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            told = message["params"]
            self._diagnostics[told["uri"]] = told["diagnostics"]
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": self._answer(message)})
        return message

    def _answer(self, message: Json) -> Any:
        if message["method"] == "workspace/configuration":
            items = message["params"]["items"]
            return [self._settings.get(item.get("section", "")) for item in items]
        return None
