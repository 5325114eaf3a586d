"""The YAML language server that editors run, asked over stdio what it makes of a case file."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parent.parent
VARIABLE = "GRADCHECK_YAML_LANGUAGE_SERVER"
"""Where the program is, if not in the project's own node_modules."""
ADVICE = (
    "needs node and the YAML language server: `npm install --no-save yaml-language-server` in the "
    f"project's folder, or its program's path in {VARIABLE}"
)
TIMEOUT = 60
"""Seconds that an answer may take."""


def program():
    """The path of the server's program; None where it, or node, is absent."""
    path = os.environ.get(VARIABLE) or str(ROOT / "node_modules/.bin/yaml-language-server")
    return path if shutil.which("node") and shutil.which(path) else None


class LanguageServer:
    """A running server, as an editor starts it that has a folder open.

    `schemas` is the setting `yaml.schemas`: a schema's path in the folder → the files' pattern.
    """

    def __init__(self, path, folder, schemas=None):
        self.settings = {"schemas": schemas or {}, "validate": True, "hover": True}
        self.received = Queue()
        self.diagnostics = {}
        self.number = 0
        self.process = subprocess.Popen(
            [path, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._receive, daemon=True).start()
        self.ask(
            "initialize",
            processId=os.getpid(),
            rootUri=folder.as_uri(),
            workspaceFolders=[{"uri": folder.as_uri(), "name": folder.name}],
            capabilities={"workspace": {"configuration": True, "workspaceFolders": True}},
        )
        self.tell("initialized")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()

    def problems(self, path):
        """What it marks in a file, each as line, column (from 1), the text there and a message."""
        text = path.read_text(encoding="utf-8")
        self.tell(
            "textDocument/didOpen",
            textDocument={
                "uri": path.as_uri(),
                "languageId": "yaml",
                "version": 1,
                "text": text,
            },
        )
        while path.as_uri() not in self.diagnostics:
            self._take()
        return [self._told(text, one) for one in self.diagnostics.pop(path.as_uri())]

    def hover(self, path, line, column):
        """What it shows of the key at a place of a file that it has open."""
        shown = self._ask_of("hover", path, line, column)
        return shown["contents"]["value"] if shown else ""

    def completions(self, path, line, column):
        """What it offers at a place of a file that it has open."""
        offered = self._ask_of("completion", path, line, column)
        return [one["label"] for one in offered["items"]]

    def _ask_of(self, method, path, line, column):
        return self.ask(
            f"textDocument/{method}",
            textDocument={"uri": path.as_uri()},
            position={"line": line - 1, "character": column - 1},
        )

    @staticmethod
    def _told(text, diagnostic):
        start, end = diagnostic["range"]["start"], diagnostic["range"]["end"]
        line = text.splitlines()[start["line"]] if start["line"] < text.count("\n") else ""
        shown = line[start["character"] : end["character"]]
        return start["line"] + 1, start["character"] + 1, shown, diagnostic["message"]

    # The protocol

    def tell(self, method, **parameters):
        self._send({"method": method, "params": parameters})

    def ask(self, method, **parameters):
        self.number += 1
        self._send({"id": self.number, "method": method, "params": parameters})
        while True:
            message = self._take()
            if message.get("id") == self.number and "method" not in message:
                return message["result"]

    def _send(self, message):
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        self.process.stdin.flush()

    def _take(self):
        """The next message, after what the server asks for or tells of itself."""
        message = self.received.get(timeout=TIMEOUT)
        if message.get("method") == "workspace/configuration":
            items = message["params"]["items"]
            answer = [self.settings if one.get("section") == "yaml" else {} for one in items]
            self._send({"id": message["id"], "result": answer})
        elif message.get("method") == "textDocument/publishDiagnostics":
            told = message["params"]
            self.diagnostics[told["uri"]] = told["diagnostics"]
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})
        return message

    def _receive(self):
        stream = self.process.stdout
        while line := stream.readline():
            length = int(line.split(b":")[1])
            while stream.readline().strip():  # further headers
                pass
            self.received.put(json.loads(stream.read(length)))
