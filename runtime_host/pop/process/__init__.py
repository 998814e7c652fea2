"""One POP as processes.

loading     everything a process is given, verified          listeners   what it listens on, until it is told to stop
lead        the process an operator starts                   worker      a further one, started by the lead
"""
