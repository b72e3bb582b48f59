"""The ratios of CPU time, to the same program without whence, that DESIGN.md (10) promises."""

SCENARIO_ORDER = "abcdef"

_STATED = {
    ("c", "recorded", "asyncio"): (0.60, 0.70, 0.90, 0.65, 1.02, 1.02),
    ("c", "hooks", "asyncio"): (0.75, 0.80, 1.00, 0.75, 1.05, 1.05),
    ("c", "recorded", "uvloop"): (1.75, 1.20, 1.15, 1.30, 1.05, 1.05),
    ("python", "hooks", "asyncio"): (2.4, 1.7, 1.7, 1.3, 1.25, 1.2),
    ("python", "recorded", "asyncio"): (3.3, 2.1, 2.0, 1.6, 1.4, 1.25),
}
_NOTHING_INSTALLED = (1.00,) * len(SCENARIO_ORDER)


def target(engine: str | None, variant: str, loop: str, scenario: str) -> float | None:
    """Return the promised ratio; None where there is no promise."""
    if variant == "off":
        row: tuple[float, ...] | None = _NOTHING_INSTALLED
    else:
        row = _STATED.get((engine or "", variant, loop))
    return None if row is None else row[SCENARIO_ORDER.index(scenario)]
