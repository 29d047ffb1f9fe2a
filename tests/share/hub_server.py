"""A server on this machine that speaks as much of the Hugging Face Hub's interface as pushing and loading take."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0" * 20


class Hub(BaseHTTPRequestHandler):
    repositories: dict  # the files of each, by name; one for each server

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.repositories.setdefault(name, {})
            self.answer({"url": f"http://{self.headers['Host']}/{name}", "name": name, "id": name})
        elif self.path.endswith("/validate-yaml"):
            self.answer({"errors": [], "warnings": []})
        elif re.search(r"/preupload/", self.path):
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self.answer({"files": modes})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", self.path):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.repositories[found[1]][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            address = f"http://{self.headers['Host']}/{found[1]}/commit/{COMMIT}"
            self.answer({"commitUrl": address, "commitOid": COMMIT, "success": True})
        else:
            self.refuse("RepoNotFound")

    def do_GET(self):
        if found := re.match(r"/api/models/([^/]+/[^/]+)/revision/", self.path):
            if found[1] not in self.repositories:
                self.refuse("RepoNotFound")
                return
            siblings = [{"rfilename": name} for name in self.repositories[found[1]]]
            self.answer({"id": found[1], "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})
        elif found := re.match(r"/api/models/([^/]+/[^/]+)/tree/", self.path):
            files = self.repositories.get(found[1], {})
            self.answer(
                [{"type": "file", "path": name, "size": len(data), "oid": oid(data)} for name, data in files.items()]
            )
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path):
            data = self.repositories.get(found[1], {}).get(found[2])
            if data is None:
                self.refuse("EntryNotFound" if found[1] in self.repositories else "RepoNotFound")
                return
            self.answer(data, {"X-Repo-Commit": COMMIT, "ETag": f'"{oid(data)}"'})
        else:
            self.refuse("RepoNotFound")

    def do_HEAD(self):
        self.do_GET()

    def answer(self, content, headers=()):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/json" if content is not data else "application/octet-stream")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", "not found")
        self.send_header("Content-Length", "0")
        self.end_headers()


def oid(data):
    return hashlib.sha1(data).hexdigest()


@contextmanager
def serving():
    """The address of a server, and the repositories that it holds."""
    handler = type("OwnHub", (Hub,), {"repositories": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.repositories
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
