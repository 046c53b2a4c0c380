"""What a part found: figures, each with the limit that it must keep."""


class Report:
    """A table of figures."""

    def __init__(self, title: str):
        self.title, self.rows = title, []

    def add(self, what: str, value, bound="", kept=True) -> None:
        """Adds a figure. Without a bound, it is for people."""
        self.rows.append((what, str(value), str(bound), bool(kept)))

    def at_most(self, what: str, value: float, limit: float, unit="") -> None:
        digits = 0 if value == int(value) and limit == int(limit) else 3
        self.add(what, f"{value:.{digits}f}{unit}", f"at most {limit:g}{unit}", value <= limit)

    def equal(self, what: str, value, expected) -> None:
        self.add(what, value, expected, value == expected)

    @property
    def is_kept(self) -> bool:
        return bool(self.rows) and all(kept for *_, kept in self.rows)

    def print(self) -> None:
        print(f"\n{self.title}")
        for what, value, bound, kept in self.rows:
            print(f"  {what:62} {value:>16}  {bound:22} {'' if kept else 'EXCEEDED'}".rstrip(), flush=True)


def percentile(values: list, part: float) -> float:
    """Returns the value below which this part of the values is, or NaN."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
