"""Writes examples/models/tokenise_vectors.json: texts with the tokens and ids that every implementation must give.

Run through `make -C examples/make vectors`. The file is {"vectors": [{text, tokens, ids, bigrams}, ...]}.
"""

import json
import random

from paths import MODELS
from tokenise import MAX_TOKENS, encode, read_vocabulary, tokens

WRITTEN = [
    # The worked examples of examples/models/README.md.
    "A great film!",
    "Don't waste your money...",
    "I would not recommend this product to anyone.",
    "Caf\u00e9 na\u00efve \u2013 10/10?!",
    "",
    # Blank and without tokens.
    " ",
    "\t\r\n",
    "\x00",
    "...",
    "\U0001f600\U0001f44d",
    "\u4e2d\u6587\u8bc4\u8bba",
    "\u041e\u0442\u043b\u0438\u0447\u043d\u044b\u0439 \u0444\u0438\u043b\u044c\u043c",
    "\u00e9\u00e8\u00ea",
    '<>[]{}()@#$%^&*_-+=|\\/~`",.;:',
    # One token.
    "a",
    "A",
    "Z",
    "0",
    "'",
    "''''",
    "!",
    "?",
    "good",
    "zzzzqqqxyz",
    "x" * 300,
    # Marks and apostrophes.
    "!!!",
    "??!!",
    "Really?Yes!No?",
    "it's its' 'tis rock'n'roll",
    "don\u2019t \u2018quote\u2019",
    "O'Brien's",
    "'quoted'",
    "well-made, thought-provoking",
    "snake_case and kebab-case",
    "a.b.c",
    "e.g. 3.14",
    "$19.99 (was $24.50)",
    "10/10",
    "C3PO & R2-D2",
    "http://example.com/?q=1",
    "someone@example.com",
    "<br /><br />Next",
    "&amp; &lt;b&gt;",
    '"Quoted," she said.',
    # Letters that Unicode would lower-case into ASCII, and neighbours of the ASCII ranges.
    "\u212aelvin \u0130stanbul \u017fome \u00c5ngstr\u00f6m",
    "\uff21\uff22\uff23 \uff11\uff12\uff13 \uff01\uff1f",
    "\u0661\u0662\u0663 \u0967\u0968\u0969",
    "@AZ[`az{/09:",
    "STRASSE Stra\u00dfe",
    "e\u0301 cafe\u0301",
    "zero\u200bwidth non\u00a0breaking soft\u00adhyphen",
    "left\u202eright",
    "\ufeffbom",
    "a\U0001f600b",
    "\U0001f1e9\U0001f1ea!",
    "good\u3000film",
    "line\u2028separator\u0085next\x0bvertical\x0cform",
    "tab\tnew\nline\r\nend",
    # Words that look like the vocabulary's own first lines.
    "<pad>",
    "<unk>",
    "pad unk",
    # Repeats and case.
    "GREAT Great great gReAt",
    "the the the the",
    "not good not bad not ugly",
    "MiXeD cAsE wOrDs",
]

# Around the cut at MAX_TOKENS, and far beyond it.
LONG = [
    " ".join(["good"] * (MAX_TOKENS - 1)),
    " ".join(["bad"] * MAX_TOKENS),
    " ".join(["fine"] * MAX_TOKENS + ["terrible"]),
    "!" * (MAX_TOKENS + 500),
    "word" * 5000,
]

WORDS = (
    "the a film movie product service was is not never very really good bad great terrible boring loved hated I it's "
    "don't won't isn't plot actor battery screen waiter hotel 2 10 1999 flurbish quxx"
).split()
MARKS = [
    " ",
    "  ",
    ", ",
    ". ",
    "! ",
    "? ",
    "... ",
    " - ",
    "'",
    "\n",
    "\u00a0",
    "\u2014",
    "\u2019",
    "\u00e9",
    "\U0001f44d",
    "/",
]


def generated(count, seed):
    """Returns count texts put together at random from WORDS and MARKS, with some letters in upper case."""
    source = random.Random(seed)
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(source.randint(1, 24)):
            word = source.choice(WORDS)
            parts.append(source.choice([word, word, word.upper(), word.capitalize()]))
            parts.append(source.choice(MARKS))
        texts.append("".join(parts))
    return texts


def main():
    vocabulary = read_vocabulary(MODELS / "vocab.txt")
    lines = []
    for text in WRITTEN + LONG + generated(160, seed=7):
        words = tokens(text)
        ids, bigrams = encode(words, vocabulary)
        lines.append(json.dumps({"text": text, "tokens": words, "ids": ids, "bigrams": bigrams}))
    content = '{"vectors": [\n' + ",\n".join(lines) + "\n]}\n"
    (MODELS / "tokenise_vectors.json").write_text(content, encoding="ascii", newline="")
    print(f"{len(lines)} vectors")


if __name__ == "__main__":
    main()
