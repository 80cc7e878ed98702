"""Write the table of values in charts/vitrine/README.md from the comments in values.yaml."""

import sys

from vitrine_tools.chart_readme import CHART, with_table


def main() -> None:
    readme = CHART / "README.md"
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    text = with_table(readme.read_text(encoding="utf-8"), values)
    readme.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{readme.name}: {text.count(chr(10))} lines\n")


if __name__ == "__main__":
    main()
