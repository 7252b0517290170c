"""The preprocessing that both sentiment models share; examples/models/README.md is its specification.

tokens()  lower-cases ASCII letters and cuts the text with the pattern [a-z0-9']+|[!?]
encode()  turns tokens into the two rows that the models take: ids (A and B) and bigrams (B)

Only ASCII takes part: every other character is a separator, so that bytes and code points, and every
programming language, give the same tokens.
"""

import re
import zlib

PAD_ID = 0
UNKNOWN_ID = 1
MAX_TOKENS = 1024
BIGRAM_BUCKETS = 1 << 17

_PATTERN = re.compile(r"[a-z0-9']+|[!?]", re.ASCII)
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def tokens(text):
    """Returns the first MAX_TOKENS tokens of text."""
    found = []
    for match in _PATTERN.finditer(text.translate(_LOWER)):
        found.append(match.group())
        if len(found) == MAX_TOKENS:
            break
    return found


def bigram(first, second):
    """Returns the bucket of two neighbouring tokens, 1 to BIGRAM_BUCKETS - 1; 0 stays free for padding."""
    return 1 + zlib.crc32(f"{first} {second}".encode("ascii")) % (BIGRAM_BUCKETS - 1)


def encode(words, vocabulary):
    """Returns (ids, bigrams), two lists as long as words; bigrams[i] joins words i and i + 1, the last one is 0."""
    ids = [vocabulary.get(word, UNKNOWN_ID) for word in words]
    pairs = [bigram(first, second) for first, second in zip(words, words[1:])]
    if words:
        pairs.append(PAD_ID)
    return ids, pairs


def read_vocabulary(path):
    """Returns {token: id} of a vocabulary file: one token a line, line n (from 0) has id n."""
    with open(path, encoding="ascii", newline="") as file:
        return {line: number for number, line in enumerate(file.read().removesuffix("\n").split("\n"))}
