"""The table of results."""

from __future__ import annotations

from collections.abc import Sequence


class Table:
    """Rows of a name, a bar, and one figure per engine; prints Markdown."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.rows: list[tuple[str, dict[str, float], str, str, bool | None]] = []

    def add(
        self,
        what: str,
        figures: dict[str, float],
        unit: str,
        bar: str = "",
        met: bool | None = None,
    ) -> None:
        self.rows.append((what, figures, unit, bar, met))
        print(f"  {what}: {figures} {unit}  {bar} {'' if met is None else met}", flush=True)

    def markdown(self) -> str:
        out = [
            "| what | unit | " + " | ".join(self.columns) + " | dockerd ÷ pierd | bar | met |",
            "| --- | --- | " + "--- | " * len(self.columns) + "--- | --- | --- |",
        ]
        for what, figures, unit, bar, met in self.rows:
            cells = [f"{figures[c]:.3g}" if c in figures else "–" for c in self.columns]
            ratio = (
                f"{figures['dockerd'] / figures['pierd']:.1f}"
                if figures.get("dockerd") and figures.get("pierd")
                else "–"
            )
            verdict = "" if met is None else "yes" if met else "**no**"
            out.append(
                f"| {what} | {unit} | " + " | ".join(cells) + f" | {ratio} | {bar} | {verdict} |"
            )
        return "\n".join(out) + "\n"
