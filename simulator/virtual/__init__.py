"""A fleet of POPs in one process, on simulated time: the real sync code, stores and control plane, a simulated network.

time       an event loop whose clock jumps to the next thing that happens, and the machines' clocks
network    links between POPs and the control plane: lag, loss, partitions, replays
plane      the real control plane, its operators and its backups
pop        one real POP: store, sync, token pipeline; killed, suspended, restored
visitors   what people and operators do
oracle     what may be shown, by the log and the policies alone; it knows no POP code
watch      when each POP enforced each entry, what each looked like, whether a number was skipped
run        the whole: `simulate(scenario)`
"""
