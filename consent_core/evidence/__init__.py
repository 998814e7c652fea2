"""Evidence: one file about one person that a stranger checks offline, with a trust file and nothing else.

    signed = read_pack(Path("pack.json").read_bytes())
    verdict = judge(signed, trust, Circumstances(receipt=…, closing=…, at=…))
    verdict.results[5].verdict, verdict.exit_code

pack.py        the file: reading it strictly, writing and signing it
bodies.py      what a record may be about: receipt, entry, attestation, statement, list, policy, request
opening.py     every signature and every checkpoint of a pack, opened with the trust file
ledger.py      checks 2 to 7: keys, checkpoints, consistency, proofs, times
consent.py     checks 0, 8, 9 and 17: whose file, which words, which withdrawal, who approved the rules
places.py      checks 10 to 12: who reported, who had stopped, what was personalised after it
deletion.py    checks 13 to 16: what was deleted, what is open, which deadline
checks.py      the list of the eighteen checks
verdict.py     holds, fails or not shown; the first line; the exit code
sentences.py   what each outcome says, for a lawyer to read aloud
documents.py   one line a document, for people
page.py        the verdict as one HTML page

Pure: bytes and a trust file in, findings out. No clock: who asks says what time it is.
"""
