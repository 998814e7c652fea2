"""What of the control plane's word is in force at this POP. One module judges, the others decide.

    sync = Sync(SyncConfig(pop="tokyo-1", home=home), store, trust, client, clock)
    asyncio.create_task(sync.run())
    state = sync.trust_state
    state.in_sync(), state.denied(subject, ver), state.policy, state.keys()   # never wait
    sync.outgoing.withdraw(withdrawal)                                        # in force when it returns

    sync         the link: polls, fetches, reports                            owns the periodic tasks
    trust_state  what requests ask                                            shared_trust_state: in a worker
    outgoing     withdrawals said here
    wanted       what tokens make the POP fetch; who waits for a key

    judge        pure: is this signed answer good, given what this POP already knows?     raises Untrusted
    follower     asks the numbered log, applies what was judged good                      the truth
    push         listens to the control plane's stream and wakes the follower             a hint
    policy       follows the signed bundle; the last good one stays in force
    keys         follows the token keys; good ones are never lost to a bad answer
    forwarder    carries withdrawals said here to the control plane
    reports      tells the control plane what is in force here
    freshness    how old the last good answer is, on a clock that counts suspend

    announcing   the lead tells its workers what it put in force
    worker       a worker's sync: takes over (`taking_over`) what the lead put on disk

Rules and failure table: `docs/sync.md`.
"""

from runtime_host.pop.sync.config import SyncConfig
from runtime_host.pop.sync.status import SyncStatus
from runtime_host.pop.sync.sync import Sync

__all__ = ["Sync", "SyncConfig", "SyncStatus"]
