"""How findings are counted."""

from __future__ import annotations

from assetstore.check.rules import CheckResult, Item, Report


def test_what_was_looked_at_and_what_is_wrong_are_counted_by_item() -> None:
    findings = [
        CheckResult(Item.CORS, "a"),
        CheckResult(Item.CORS, "b", "no CORS header", "pass it through"),
        CheckResult(Item.BYTES, "a"),
    ]
    report = Report("https://cdn.example.com/", "r1", 2, 9, findings)
    assert [each.url for each in report.faults] == ["b"]
    assert report.counts(Item.CORS) == (2, 1)
    assert report.counts(Item.BYTES) == (1, 0)
    assert report.counts(Item.RANGES) == (0, 0)
