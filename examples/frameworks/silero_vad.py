"""Silero's voice detector, versions 5 and 6 side by side: a model with a state that the caller carries from call to call, and an
input of rank 0. What it hears is spoken by espeak-ng, with pauses; ONNX Runtime's own Python package says what is right."""

import io
import subprocess
import wave

import numpy as np
import onnxruntime
from scipy.signal import resample_poly

from tandem import ROOT

MODELS = {"vad-v5": "silero_vad_v5.onnx", "vad-v6": "silero_vad_v6.onnx"}
FOLDER = ROOT / ".cache" / "silero-vad" / "0.0.31"
RATE, FRAME, CONTEXT = 16_000, 512, 64
TEXT = ["Tandem serves graphs of models from one binary.", "A man walks into a room, and says nothing at all.", "Eleven, twelve, thirteen."]


def speak(text):
    """Returns a text spoken, at 16 kHz, from -1 to 1."""
    wav = subprocess.run(["espeak-ng", "--stdout", text], capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(wav)) as w:
        rate, data = w.getframerate(), w.readframes(w.getnframes())
    samples = np.frombuffer(data, "<i2").astype(np.float32) / 32768
    return resample_poly(samples, RATE, rate).astype(np.float32)


def sound():
    """Returns speech with pauses of faint noise, and for each frame whether it lies in a pause."""
    noise = np.random.default_rng(7)
    pieces, quiet = [], []
    for text in TEXT:
        for piece, silent in ((noise.normal(0, 1e-3, RATE * 3 // 2).astype(np.float32), True), (speak(text), False)):
            pieces.append(piece)
            quiet.append(np.full(len(piece), silent))
    samples, quiet = np.concatenate(pieces), np.concatenate(quiet)
    frames = len(samples) // FRAME
    return samples[:frames * FRAME].reshape(frames, FRAME), quiet[:frames * FRAME].reshape(frames, FRAME).all(1)


def windows(frames):
    """Yields each frame with the end of the one before it, as the model wants them."""
    before = np.zeros(CONTEXT, np.float32)
    for frame in frames:
        yield np.concatenate([before, frame])[None]
        before = frame[-CONTEXT:]


def reference(path, frames):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    state, out = np.zeros((2, 1, 128), np.float32), []
    for window in windows(frames):
        voice, state = session.run(["output", "stateN"], {"input": window, "state": state, "sr": np.array(RATE, np.int64)})
        out.append(voice[0, 0])
    return np.array(out), state


def run(server, report):
    for name, file in MODELS.items():
        server.push_model(name, FOLDER / file, batched=False)
    server.publish("""
graph: voice
inputs:
  window: tensor FP32 [1, 576]
  rate: tensor INT64 []
  state_v5: tensor FP32 [2, 1, 128]
  state_v6: tensor FP32 [2, 1, 128]
outputs: {v5: v5.output, v6: v6.output, state_v5: v5.stateN, state_v6: v6.stateN}
nodes:
  v5: {model: vad-v5, in: {input: window, state: state_v5, sr: rate}}
  v6: {model: vad-v6, in: {input: window, state: state_v6, sr: rate}}
""")
    frames, quiet = sound()
    states = {f"state_{v}": np.zeros((2, 1, 128), np.float32) for v in ("v5", "v6")}
    heard = {"v5": [], "v6": []}
    for window in windows(frames):
        answer = server.infer("voice", window=window, rate=np.array(RATE, np.int64), **states)
        states = {name: answer[name] for name in states}
        for version in heard:
            heard[version].append(answer[version][0, 0])
    for name, file in MODELS.items():
        version = name.removeprefix("vad-")
        want, state = reference(FOLDER / file, frames)
        got = np.array(heard[version])
        report.compare(f"Silero {version}", "voice", got, want, 1e-4)
        report.compare(f"Silero {version}", "last state", states[f"state_{version}"], state, 1e-3)
        found = got > 0.5
        right = np.where(quiet, ~found, found)
        report.at_least(f"Silero {version}", "frames right", len(right), float(np.mean(right)), 0.8)
    report.at_least("Silero v5 and v6", "agree", len(frames), float(np.mean((np.array(heard["v5"]) > 0.5) == (np.array(heard["v6"]) > 0.5))), 0.8)
