"""The latency gate: page loads in a real browser through the real consent path, judged against budgets.

    profiles   throttling, named in every result            stats    order statistics, paired intervals, rank tests
    observe.js what the page reports about itself           judge    samples + budgets -> rows: ok, over, broken
    browser    one page load -> one sample                  report   terminal, JSON, JUnit, HTML with plots
    arms       the pages that are compared                  selftest injected faults must turn the gate red
    run        interleaves arms, voids overloaded samples   micro    the same for pytest-benchmark results

A missing measurement is *broken*, never *fast*.
"""
