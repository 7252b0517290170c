"""Writes what plugins/text/wordpiece is held to: the character tables of the reference tokeniser, and the ids that it gives
to 10,000 strings of many scripts.

    python wordpiece.py          writes plugins/text/wordpiece/tables.go and testdata/reference.bin
    python wordpiece.py --check  compares them with what is there and writes nothing

The strings are made from numbers by the recipe below; reference_test.go makes the same ones, so that only hashes of the ids are
kept. reference.bin has, in little-endian order: the SHA-256 of all strings, each followed by a zero byte; a 32-bit FNV-1a hash for
each string's ids; one for the ids of every tenth string with the options of a cased model; and one for the ids and token types of
every tenth string paired with the one after it.
"""

import hashlib
import pathlib
import struct
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "text" / "wordpiece"
TOKENS = (PACKAGE / "bert-uncased.txt").read_text(encoding="utf-8").split("\n")[:-1]
STRINGS, SOME = 10_000, 10

SPECIALS = ["[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"]
LITERALS = SPECIALS + ["[cls]", "[MASK", "SEP]", "[[CLS]]", "[ SEP ]", "##ing", "[unused7]"]
ODD = [
    0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x1B, 0x7F, 0x80, 0x85, 0xA0, 0xAD, 0x0130, 0x0131, 0x01C5, 0x0345, 0x03A3, 0x03C2, 0x1E9E,
    0x200B, 0x200C, 0x200D, 0x200E, 0x2028, 0x2029, 0x202E, 0x2060, 0x2126, 0x212A, 0x212B, 0x3000, 0xE000, 0xFB01, 0xFDFA, 0xFE0F,
    0xFEFF, 0xFFFC, 0xFFFD, 0x1F1E6, 0x1F3FD, 0x1F469, 0xE0041, 0xF0000, 0x10FFFF, 0xDF, 0x2E43, 0x166D, 0x11938,
]
MARKS = list(range(0x0300, 0x0370)) + list(range(0x20D0, 0x20F1)) + [0x302E, 0x302F, 0x3099, 0x309A]
SEPARATORS = [" ", " ", " ", " ", "", "", "\t\n", "\u3000"]


def alphabets():
    found = []
    for line in (PACKAGE / "testdata" / "alphabets.txt").read_text().splitlines():
        ranges = [tuple(int(end, 16) for end in r.split("-")) for r in line.split()[1:]]
        found.append([c for low, high in ranges for c in range(low, high + 1)])
    return found


class Numbers:
    """splitmix64, which is a few lines in any language."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return (z ^ (z >> 31)) % n


def part(rng, scripts):
    kind = rng.below(16)
    if kind < 6:
        token = TOKENS[rng.below(len(TOKENS))].removeprefix("##")
        if rng.below(3) == 0:
            token = "".join(chr(ord(c) - 32) if "a" <= c <= "z" else c for c in token)
        return token
    if kind < 12:
        script = scripts[rng.below(len(scripts))]
        most = 130 if rng.below(40) == 0 else 12
        return "".join(chr(script[rng.below(len(script))]) for _ in range(1 + rng.below(most)))
    if kind == 12:
        return "".join(chr(0x21 + rng.below(0x5E)) for _ in range(1 + rng.below(10)))
    if kind == 13:
        return "".join(chr(MARKS[rng.below(len(MARKS))]) for _ in range(1 + rng.below(4)))
    if kind == 14:
        return chr(ODD[rng.below(len(ODD))])
    return LITERALS[rng.below(len(LITERALS))]


def string(number, scripts):
    """Returns a text and the longest row that it may make."""
    rng = Numbers(number)
    most = 8 + rng.below(160)
    text = ""
    for _ in range(1 + rng.below(24)):
        text += part(rng, scripts) + SEPARATORS[rng.below(len(SEPARATORS))]
    return text, most


def reference(lowercase):
    """The tokeniser of BERT models, as their tokenizer.json files spell it out."""
    t = Tokenizer(models.WordPiece({token: n for n, token in enumerate(TOKENS)}, unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=lowercase)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    frame = [(token, t.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=frame)
    t.add_special_tokens(SPECIALS)
    return t


def fnv(numbers):
    h = 2166136261
    for b in b"".join(struct.pack("<I", n) for n in numbers):
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    return h


def ids():
    scripts = alphabets()
    made = [string(n, scripts) for n in range(STRINGS)]
    digest = hashlib.sha256(b"".join(text.encode("utf-8") + b"\0" for text, _ in made)).digest()
    uncased, cased = reference(True), reference(False)
    hashes = []
    for text, most in made:
        uncased.enable_truncation(most)
        hashes.append(fnv(uncased.encode(text).ids))
    for text, most in made[::SOME]:
        cased.enable_truncation(most)
        hashes.append(fnv(cased.encode(text).ids))
    for n in range(0, STRINGS, SOME):
        uncased.enable_truncation(made[n][1])
        e = uncased.encode(made[n][0], made[(n + 1) % STRINGS][0])
        hashes.append(fnv(e.ids + e.type_ids))
    return digest + struct.pack(f"<{len(hashes)}I", *hashes)


def tables():
    """The reference knows the categories of an older Unicode than Go does; these are its own."""
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    words = pre_tokenizers.BertPreTokenizer()
    sets = {"dropped": set(), "marks": set(), "punctuation": set()}
    for c in range(0x80, 0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        text = f"x{chr(c)}y"
        if clean.normalize_str(text) == "xy":
            sets["dropped"].add(c)
        if strip.normalize_str(text) == "xy":
            sets["marks"].add(c)
        if len(words.pre_tokenize_str(text)) == 3:
            sets["punctuation"].add(c)
    docs = {
        "dropped": "are left out, those of ASCII apart", "marks": "are the accents that are stripped",
        "punctuation": "are words of their own, those of ASCII apart",
    }
    text = "// Code generated by examples/frameworks/wordpiece.py. DO NOT EDIT.\n\npackage wordpiece\n\nimport \"unicode\"\n"
    for name, members in sets.items():
        text += f"\n// {name}Table holds the characters that {docs[name]}.\n" + table(name, members)
    return text


def table(name, members):
    runs = []
    for c in sorted(members):
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    text = f"var {name}Table = &unicode.RangeTable{{\n"
    for field, of, keep in ("R16", "unicode.Range16", lambda r: r[0] <= 0xFFFF), ("R32", "unicode.Range32", lambda r: r[0] > 0xFFFF):
        kept = [r for r in runs if keep(r)]
        text += f"\t{field}: []{of}{{\n"
        for i in range(0, len(kept), 5):
            text += "\t\t" + " ".join(f"{{{low:#x}, {high:#x}, 1}}," for low, high in kept[i:i + 5]) + "\n"
        text += "\t},\n"
    return text + "}\n"


def main():
    files = {PACKAGE / "tables.go": tables().encode(), PACKAGE / "testdata" / "reference.bin": ids()}
    for path, want in files.items():
        if "--check" not in sys.argv[1:]:
            path.write_bytes(want)
        elif path.read_bytes() != want:
            sys.exit(f"{path.relative_to(ROOT)} is not what the reference says now: python examples/frameworks/wordpiece.py")
        print(f"{path.relative_to(ROOT)}: {len(want)} bytes, as the reference says")


if __name__ == "__main__":
    main()
