"""docs/metrics.md, from the table of metrics and the text around it. ``--check`` writes nothing and exits 1 when the
page is out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from opendmux.runtime.metric_table import METRICS, Metric

DOCS: Final = Path(__file__).parent
PAGE: Final = DOCS / "metrics.md"
INTRO: Final = DOCS / "_metrics_intro.md"
PLACE: Final = "<!-- the table -->\n"
"""Where the table goes in the text."""

HEAD: Final = "<!-- Made by docs/gen_metrics.py from _metrics_intro.md and the table of metrics; edit those. -->\n\n"


def table(metrics: Iterable[Metric]) -> str:
    """One row a metric, in the table's order."""
    rows = ["| name | kind | labels | what it says |", "|---|---|---|---|"]
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """The whole page."""
    text = INTRO.read_text(encoding="utf-8")
    assert text.count(PLACE) == 1, f"{INTRO.name} says once where the table goes"
    return HEAD + text.replace(PLACE, table(METRICS.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    if not check:
        PAGE.write_text(page(), encoding="utf-8")
    print(("out of date: " if check else "wrote: ") + PAGE.name)
    return 1 if check else 0


if __name__ == "__main__":
    sys.exit(main())
