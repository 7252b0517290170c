"""A Tandem server for the length of a script, the calls that the scripts make, and the table of what they found.

Models, plugins and graphs are pushed with the command line, as a person would; inference is plain HTTP with JSON, the Connect
protocol, so that nothing but the standard library and NumPy is needed to call Tandem from Python.
"""

import base64
import json
import pathlib
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / ".cache" / "frameworks"
PROGRAM = ROOT / "bin" / "tandem"

DTYPES = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2", "INT32": "<i4",
    "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}


class TandemError(Exception):
    """What the server or the command line says when it refuses."""


class Server:
    """bin/tandem on a temporary data folder and a free port. Use it in a with statement."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tandem-frameworks-")
        self.data = pathlib.Path(self.folder.name)
        self.log = open(self.data / "log", "wb")
        command = [PROGRAM, "serve", "--data", self.data / "data", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=self.log, stderr=subprocess.STDOUT)
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _wait(self):
        endpoint = self.data / "data" / "endpoint"
        for _ in range(600):
            if endpoint.exists() and (text := endpoint.read_text()).endswith("\n"):
                self.url = text.strip()
                self.key = (self.data / "data" / "admin.key").read_text().strip()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise TandemError("the server did not start:\n" + (self.data / "log").read_text(errors="replace"))

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def run(self, *arguments, stdin=None):
        """Runs the command line against this server and returns what it printed."""
        command = [PROGRAM, *map(str, arguments), "--server", self.url, "--key", self.key]
        done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True)
        if done.returncode != 0:
            raise TandemError(f"tandem {' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def push_model(self, name, path, batched=None):
        """Checks a model as its owner would, says what came of it, and pushes it. batched, when given, is what the check must say."""
        check = json.loads(self.run("model", "check", path, "--output", "json"))
        why = check.get("notBatched", "")
        runs = check.get("measured", {}).get("runs", [])
        speed = f", {runs[0]['medianMillis']} ms for a row" if runs else ""
        print(f"  {name}: {check['sizeBytes']:,} bytes, {'not batched: ' + why if why else 'batched'}{speed}", flush=True)
        if batched is not None and batched == bool(why):
            raise TandemError(f"{name}: batched should be {batched}")
        self.run("model", "push", name, path)

    def push_plugin(self, name):
        self.run("plugin", "push", name, ROOT / "bin" / "plugins" / f"{name}.wasm")

    def publish(self, document):
        """Publishes a graph; document is its text."""
        path = self.data / "graph.yaml"
        path.write_text(document)
        self.run("graph", "publish", path)

    def infer(self, graph, **inputs):
        """Calls a graph. Arrays go as tensors, str as text, lists as lists; the answers come back likewise, JSON decoded."""
        body = json.dumps({"graph": graph, "inputs": {name: encode(v) for name, v in inputs.items()}}).encode()
        request = urllib.request.Request(
            self.url + "/tandem.v1.InferenceService/Infer", data=body,
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"})
        try:
            with urllib.request.urlopen(request) as answer:
                return {name: decode(v) for name, v in json.load(answer)["outputs"].items()}
        except urllib.error.HTTPError as error:
            raise TandemError(f"graph {graph}: {error.read().decode(errors='replace')}") from None


def encode(value):
    """Makes one input of a request."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list):
        return {"list": {"items": [encode(v) for v in value]}}
    array = np.asarray(value)
    shape = list(array.shape)
    if array.dtype.kind in "OUS":
        strings = [str(s) for s in array.ravel()]
        return {"tensor": {"dataType": "DATA_TYPE_BYTES", "shape": shape, "elements": {"strings": strings}}}
    for name, code in DTYPES.items():
        if np.dtype(code) == array.dtype:
            data = base64.b64encode(array.tobytes()).decode()
            return {"tensor": {"dataType": "DATA_TYPE_" + name, "shape": shape, "data": data}}
    raise TypeError(f"no tensor for elements of {array.dtype}")


def decode(value):
    """Reads one output of an answer. What the server leaves out is empty: JSON has no field for it."""
    (kind, content), = value.items()
    if kind == "text":
        return content
    if kind == "json":
        return json.loads(content)
    if kind == "list":
        return [decode(v) for v in content.get("items", [])]
    if kind != "tensor":
        raise TypeError(f"no reading of {kind}")
    name = content["dataType"].removeprefix("DATA_TYPE_")
    data = base64.b64decode(content.get("data", ""))
    shape = [int(n) for n in content.get("shape", [])]
    if name == "BYTES":
        return np.array(unpack(data), dtype=object).reshape(shape)
    return np.frombuffer(data, DTYPES[name]).reshape(shape)


def unpack(data):
    """Cuts BYTES elements apart: each is its length in 4 bytes and then itself."""
    out = []
    while data:
        size = int.from_bytes(data[:4], "little")
        out.append(data[4:4 + size].decode())
        data = data[4 + size:]
    return out


class Report:
    """Collects comparisons and prints them as a table."""

    HEAD = ("MODEL", "METRIC", "SAMPLES", "MAX DIFFERENCE", "TOLERANCE", "RESULT")

    def __init__(self):
        self.rows, self.failed = [], 0

    def compare(self, model, metric, got, want, tolerance):
        """Compares Tandem's answers with the framework's; tolerance is the largest absolute difference, 0 means equal."""
        got, want = np.asarray(got), np.asarray(want)
        if got.shape != want.shape:
            self._add(model, metric, len(want), f"shape {got.shape}, want {want.shape}", tolerance, False)
        elif want.dtype.kind in "OUSb":
            wrong = int(np.count_nonzero(got != want))
            self._add(model, metric, len(want), f"{wrong} of {want.size}", "equal", wrong == 0)
        else:
            difference = float(np.max(np.abs(got.astype(np.float64) - want.astype(np.float64)), initial=0))
            self._add(model, metric, len(want), f"{difference:.3g}", f"{tolerance:g}" if tolerance else "equal", difference <= tolerance)

    def at_least(self, model, metric, samples, got, least):
        """Holds a quality, such as an accuracy, to a bound: the model is a real one."""
        self._add(model, metric, samples, f"{got:.4f}", f">= {least:g}", bool(got >= least))

    def error(self, model, error):
        """Notes that a script could not be finished."""
        self._add(model, "error", 0, str(error).strip().splitlines()[0][:60], "", False)

    def _add(self, model, metric, samples, found, tolerance, good):
        self.failed += not good
        self.rows.append((model, metric, str(samples), found, tolerance, "pass" if good else "FAIL"))
        print(f"  {'ok  ' if good else 'FAIL'} {model}: {metric}: {found} ({tolerance})", flush=True)

    def print(self):
        widths = [max(len(row[i]) for row in [self.HEAD, *self.rows]) for i in range(len(self.HEAD))]
        for row in [self.HEAD, *self.rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
