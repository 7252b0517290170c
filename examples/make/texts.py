"""Answers the texts of examples/texts/texts.jsonl with both models and writes the answers into the file.

Run through `make -C examples/make texts`. Each line has an id, a text, what a reader says of it (`meant`: positive,
negative, mixed or none), and what the models say: expected_a and expected_b, each {label, score}. Texts are written by
hand in the file; only the two expected fields are written by this script.
"""

import json

from paths import TEXTS
from sentiment import Model


def main():
    path = TEXTS / "texts.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    models = {key: Model(f"sentiment-{key}") for key in "ab"}
    lines, right, clear, agree = [], {"a": 0, "b": 0}, 0, 0
    for row in rows:
        answers = {key: model.answer(row["text"]) for key, model in models.items()}
        clear += row["meant"] in ("positive", "negative")
        agree += answers["a"]["label"] == answers["b"]["label"]
        for key, answer in answers.items():
            right[key] += answer["label"] == row["meant"]
        kept = {key: row[key] for key in ("id", "text", "meant")}
        lines.append(
            json.dumps({**kept, **{f"expected_{key}": answer for key, answer in answers.items()}}, ensure_ascii=False)
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    print(f"{len(rows)} texts; of {clear} clear ones A gets {right['a']} right, B {right['b']}; they agree on {agree}")


if __name__ == "__main__":
    main()
