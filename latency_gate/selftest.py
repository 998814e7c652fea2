"""The gate's test of itself: six faults, each of which has to turn it red for its own reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from latency_gate.arms import Arm
from latency_gate.browser import chromium
from latency_gate.judge import BROKEN, OVER, Row
from latency_gate.profiles import Profile
from latency_gate.run import Progress, measure_in, warm_up

PAIRED = 8  # rounds that a paired interval takes
PLAIN = 3  # loads whose median is over: no single slow load of a sound page says that
ONCE = 1  # a load that has to be refused is refused each time

# The hero is painted 150 ms later than it could have been.
RENDER_DELAY = """
addEventListener("DOMContentLoaded", () => {
  const hero = document.getElementById("hero");
  hero.style.visibility = "hidden";
  const show = () => setTimeout(() => (hero.style.visibility = ""), 150);
  hero.complete ? show() : hero.addEventListener("load", show, { once: true });
});
"""
# Each click blocks the main thread for 250 ms.
LONG_TASK = """
addEventListener("click", () => { const end = performance.now() + 250; while (performance.now() < end); });
"""
# The browser stops reporting largest-contentful-paint.
MISSING_ENTRY = """
__vitals.lcp = Object.freeze([]);
"""
# A large picture that is not the personalised one comes first and wins. Not quite as large as the window: Chromium
# takes such a picture for a background.
DECOY = """
addEventListener("DOMContentLoaded", () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1600, height: 1600 });
  const context = canvas.getContext("2d");
  for (let i = 0; i < 4000; i += 1) {
    context.fillStyle = `hsl(${(i * 37) % 360} 60% 50%)`;
    context.fillRect((i * 97) % 1600, (i * 61) % 1600, 60, 60);
  }
  const decoy = new Image();
  decoy.src = canvas.toDataURL("image/jpeg", 0.95);
  decoy.style = "position:absolute;top:0;left:0;width:96vw;height:70vh;object-fit:cover;z-index:-1";
  document.body.prepend(decoy);
});
"""
# The page moves down as the swapped picture comes.
SHIFT_AT_SWAP = """
addEventListener("DOMContentLoaded", () => {
  const spacer = Object.assign(document.createElement("div"), { style: "height:120px" });
  const hero = document.getElementById("hero");
  const wanted = { attributes: true, attributeFilter: ["src", "srcset"] };
  new MutationObserver(() => document.body.prepend(spacer)).observe(hero, wanted);
});
"""
# Before the page hears of a click 600 ms pass, and so the swap comes late.
LATE_SWAP = """
addEventListener("click", () => { const end = performance.now() + 600; while (performance.now() < end); }, true);
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and the row it has to turn red with the status it has to have."""

    name: str
    tamper: str
    row: str
    status: str
    rounds: int = PLAIN
    reason: str = ""

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that its row is judged by."""
        return ("ours", "plain") if self.rounds == PAIRED else ("ours",)


FAULTS = (
    Fault("render-delay-150ms", RENDER_DELAY, "lcp-over-plain", OVER, PAIRED),
    Fault("long-task-250ms", LONG_TASK, "inp", OVER),
    Fault("missing-entry", MISSING_ENTRY, "lcp", BROKEN, ONCE, reason="no largest-contentful-paint entry"),
    Fault("decoy-placeholder", DECOY, "lcp", BROKEN, ONCE, reason="the largest element is not"),
    Fault("shift-at-swap", SHIFT_AT_SWAP, "cls", OVER),
    Fault("late-swap-600ms", LATE_SWAP, "swap-to-paint", OVER),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether the gate did what it must with one fault in."""

    fault: str
    passed: bool
    found: str


def run_selftest(
    arms: Sequence[Arm], profile: Profile, budgets: dict[str, float], progress: Progress = lambda done, total: None
) -> list[Outcome]:
    """Inject each fault into our arm alone and see what the gate says."""
    outcomes = []
    with chromium() as browser:
        warm_up(browser, [arm for arm in arms if arm.name in ("ours", "plain")], profile)
        for done, fault in enumerate(FAULTS, start=1):
            wanted = [arm for arm in arms if arm.name in fault.arms]
            tamper = {"ours": fault.tamper}
            result = measure_in(browser, wanted, profile, (fault.rounds,), budgets, tamper=tamper)
            outcomes.append(judge_fault(fault, result.rows))
            progress(done, len(FAULTS))
    return outcomes


def judge_fault(fault: Fault, rows: Sequence[Row]) -> Outcome:
    """The named row must be red in the named way. Red for another reason is not caught."""
    row = next((row for row in rows if row.name == fault.row), None)
    if row is None:
        return Outcome(fault.name, False, f"no row {fault.row}")
    passed = row.status == fault.status and fault.reason in row.explanation
    return Outcome(fault.name, passed, f"{row.name} {row.status}: {row.explanation}")
