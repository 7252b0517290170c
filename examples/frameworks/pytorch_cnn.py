"""PyTorch: a small CNN, trained on Debian's package of Fashion-MNIST and held to the 10,000 pictures that it has not seen."""

import gzip
import pathlib
import struct

import numpy as np
import torch
from torch import nn

from tandem import WORK

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
CLASSES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
TRAINING, ROUNDS, BATCH = 20_000, 3, 128


def read(name):
    with gzip.open(DATA / f"{name}.gz") as f:
        kind, = struct.unpack(">I", f.read(4))
        shape = struct.unpack(f">{kind & 0xFF}I", f.read(4 * (kind & 0xFF)))
        return np.frombuffer(f.read(), np.uint8).reshape(shape)


class Net(nn.Module):
    """Takes pixels as they are and gives probabilities: what is around the model in training is part of what is exported."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 7 * 7, 10))

    def forward(self, pixels):
        logits = self.layers(pixels.float().unsqueeze(1) / 255 - 0.2860)
        return logits if self.training else logits.softmax(1)


def train():
    torch.manual_seed(6)
    images, labels = torch.tensor(read("train-images-idx3-ubyte")), torch.tensor(read("train-labels-idx1-ubyte").astype(np.int64))
    net = Net()
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for turn in range(ROUNDS):
        order = torch.randperm(len(images))[:TRAINING]
        total = 0.0
        for at in range(0, TRAINING, BATCH):
            chosen = order[at:at + BATCH]
            loss = nn.functional.cross_entropy(net(images[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        print(f"  round {turn + 1} of {ROUNDS}: loss {total * BATCH / TRAINING:.3f}", flush=True)
    return net.eval()


def run(server, report):
    net = train()
    path = WORK / "fashion.onnx"
    torch.onnx.export(
        net, torch.zeros(1, 28, 28, dtype=torch.uint8), str(path), input_names=["pixels"], output_names=["probabilities"],
        dynamic_axes={"pixels": {0: "batch"}, "probabilities": {0: "batch"}}, opset_version=13)
    server.push_model("fashion", path, batched=True)
    server.push_plugin("classify")
    server.publish("""
graph: fashion
inputs: {pixels: "tensor UINT8 [n, 28, 28]"}
outputs: {probabilities: cnn.probabilities}
nodes:
  cnn: {model: fashion, in: {pixels: pixels}}
""")
    server.publish(f"""
graph: fashion-label
inputs: {{pixels: "tensor UINT8 [1, 28, 28]"}}
outputs: {{label: top.label, score: top.score}}
nodes:
  cnn: {{model: fashion, in: {{pixels: pixels}}}}
  top: {{plugin: classify, call: top_label, in: {{logits: cnn.probabilities}}, with: {{softmax: false, labels: {CLASSES}}}}}
""")
    images, labels = read("t10k-images-idx3-ubyte"), read("t10k-labels-idx1-ubyte")
    with torch.no_grad():
        want = np.concatenate([net(torch.tensor(images[at:at + 1000])).numpy() for at in range(0, len(images), 1000)])
    got = np.concatenate([server.infer("fashion", pixels=images[at:at + 500])["probabilities"] for at in range(0, len(images), 500)])
    report.compare("PyTorch CNN", "probabilities", got, want, 1e-5)
    report.at_least("PyTorch CNN", "accuracy", len(labels), np.mean(got.argmax(1) == labels), 0.85)
    some = [server.infer("fashion-label", pixels=images[i:i + 1]) for i in range(200)]
    report.compare("PyTorch CNN, with classify", "label", np.array([s["label"] for s in some], object),
                   np.array([CLASSES[i] for i in want[:200].argmax(1)], object), 0)
