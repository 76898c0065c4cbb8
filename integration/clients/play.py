"""Plays compare-and-set, counters, journals, locks and elections against a real cluster by way of synod.py, while
somebody kills its leader, and says what did not hold. Arguments: the doors."""

import sys
import threading

from synod import Absent, Mismatch, Synod, Taken

PLAYERS, ROUNDS = 4, 12


def main(doors):
    failures, half, done = [], threading.Event(), [0]
    guard, inside, tokens = threading.Lock(), [], []

    def hold(held, who):
        """Nobody else is inside, and the token is greater than any before."""
        with guard:
            if inside or (tokens and held.token <= tokens[-1]):
                failures.append(f"{who} got token {held.token} after {tokens}, with {inside} inside")
            inside.append(who)
            tokens.append(held.token)

    def let_go(who):
        with guard:
            inside.remove(who)

    def player(who):
        # Each begins at a door of its own.
        synod = Synod(doors[who % len(doors):] + doors[:who % len(doors)], timeout=60.0)
        for turn in range(ROUNDS):
            synod.update("total", lambda value: str(int(value or b"0") + 1).encode())
            synod.count("counted")
            synod.append("turns", f"{who}/{turn}".encode())
            with synod.lock("guard", ttl=10.0, wait=60.0) as held:
                hold(held, who)
                let_go(who)
            with guard:
                done[0] += 1
                if done[0] * 3 >= PLAYERS * ROUNDS:
                    half.set()

    def candidate(who):
        synod, name = Synod(doors, timeout=60.0), f"pg-{who}"
        with synod.campaign("primary", name, ttl=10.0, wait=60.0) as office:
            incumbent = synod.incumbent("primary")
            if (incumbent["candidate"], incumbent["token"]) != (name, office.token):
                failures.append(f"{name} was granted {office.token}, and the cluster says {incumbent}")
            document = {"lease": office.lease, "token": office.token, "value": f"{name}.example"}
            synod.call("POST", "/v1/elections/primary:proclaim", document)
            if synod.incumbent("primary")["value"] != f"{name}.example":
                failures.append(f"{name} has proclaimed, and nobody knows")

    def run(play, who):
        try:
            play(who)
        except BaseException as error:
            failures.append(f"{play.__name__} {who}: {error!r}")
            half.set()

    plays = [(player, who) for who in range(PLAYERS)] + [(candidate, who) for who in range(2)]
    threads = [threading.Thread(target=run, args=play) for play in plays]
    for thread in threads:
        thread.start()
    half.wait()
    print("half", flush=True)
    for thread in threads:
        thread.join()

    synod, all_turns = Synod(doors, timeout=60.0), PLAYERS * ROUNDS
    total, revision = synod.get("total")
    counted = synod.count("counted", 0)
    entries = [value.decode() for _, value in synod.entries("turns")]
    if (int(total), counted, len(set(entries)), len(entries)) != (all_turns,) * 4:
        failures.append(f"of {all_turns}: set {total}, counted {counted}, appended {len(entries)}")
    for expected in ({"revision": revision - 1}, {"absent": True}):
        try:
            synod.put("total", b"0", **expected)
            failures.append("what was not as expected was changed")
        except Mismatch as no:
            if no.present["value"] != total.decode():
                failures.append(f"there is {total}, and the answer says {no.present}")
    try:
        synod.get("nothing")
        failures.append("there is nothing, and it was read")
    except Absent:
        pass
    with synod.lock("guard"):
        try:
            with Synod(doors).lock("guard"):
                failures.append("two hold one lock")
        except Taken as no:
            if no.present is None:
                failures.append("it is not said who has it")
    print("; ".join(failures) or "done", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
