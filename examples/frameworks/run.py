"""Exports models of each framework, serves them with Tandem and compares its answers with the framework's own.

    python run.py             everything
    python run.py sklearn     one framework: sklearn, xgboost, pytorch, transformers or silero
"""

import importlib
import sys
import time
import traceback
import warnings

from tandem import WORK, Report, Server

PARTS = {
    "sklearn": "sklearn_trees", "xgboost": "xgboost_trees", "pytorch": "pytorch_cnn", "transformers": "sentence_embeddings",
    "silero": "silero_vad",
}


def main(wanted):
    if unknown := [name for name in wanted if name not in PARTS]:
        sys.exit(f"no framework {', '.join(unknown)}, only {', '.join(PARTS)}")
    warnings.filterwarnings("ignore")  # of the frameworks about each other
    WORK.mkdir(parents=True, exist_ok=True)
    report = Report()
    with Server() as server:
        for number, name in enumerate(wanted or PARTS, 1):
            began = time.monotonic()
            print(f"[{number}/{len(wanted or PARTS)}] {name}", flush=True)
            try:
                importlib.import_module(PARTS[name]).run(server, report)
            except Exception as error:  # the others go on; the table says what failed
                traceback.print_exc()
                report.error(name, error)
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print()
    report.print()
    passed = len(report.rows) - report.failed
    print(f"\n{passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
