"""How much one visitor can be seen in what leaves a place: the numbers of learning, and nothing that does I/O.

weeks.py              ISO weeks in UTC, five in a row, the fixed minute of a place
clipping.py           one visitor's week vector, limited in length
grid.py               the same as whole numbers, and their sum
discrete_gaussian.py  exact noise, from random bytes that the caller passes
accounting.py         what a noise promises (rho, epsilon, delta), and the noise that keeps a promise
mechanism.py          the parameters of one deployment, as its policy states them
ledger.py             what a place has spent, and when it may not spend more
learning.py           the model that follows from measurements, and what one place changed in it
telemetry.py          one bit of a device, hidden before it is sent; what a day's sum says
statement.py          the table that people read: per period epsilon and the best guess

    mechanism = Mechanism.promising(weeks=5, epsilon=5, delta=1e-5, clip=0.4)
    q = to_grid(clipped(vector, 0.4), 0.4)                    # one visitor, one week
    y = total([q]) + noise(4128, mechanism.sigma2, os.urandom)  # all that ever leaves

Two rules hold the proof (docs/privacy.md): no visitor's q depends on another visitor's data, and nothing outside the
place depends on x = total(...) before noise is added.
"""
