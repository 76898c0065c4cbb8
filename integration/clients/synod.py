"""A client of a Synod cluster in Python's standard library: keys, locks and elections over HTTP.

    from synod import Synod

    synod = Synod(["127.0.0.1:7410", "127.0.0.1:7411"])
    synod.put("epoch", b"7")
    with synod.lock("nightly", ttl=10) as held:
        backup(held.token)          # stop when held.lost is set

It knows the doors of several nodes and asks the next one when one does not answer. A write has a key of its own, so
that it takes effect once whichever door hears it. A lease is renewed in the background, and is lost here, by this
process's own clock, before the cluster can give what hangs on it to another.
"""

import base64
import http.client
import json
import threading
import time
import urllib.parse
import uuid

__all__ = ["Absent", "Held", "Mismatch", "Refused", "Synod", "Taken", "Unavailable"]


class Refused(Exception):
    """The answer is an error, and asking again will not help."""

    def __init__(self, status, document):
        error = document.get("error", {})
        super().__init__(f"{status} {error.get('code')}: {error.get('message')}")
        self.status, self.code, self.document = status, error.get("code"), document


class Absent(Refused):
    """There is no such thing."""


class Mismatch(Refused):
    """It is not as expected; what is there instead is `present`."""

    @property
    def present(self):
        return self.document.get("present")


class Taken(Refused):
    """Another has it; who is `present`."""

    @property
    def present(self):
        return self.document.get("present")


class Unavailable(Exception):
    """No door answered in time. What was asked may have been done."""


KINDS = {404: Absent, 409: Taken, 412: Mismatch}


def quoted(name):
    return urllib.parse.quote(name, safe="")


class Synod:
    """The doors of a cluster's nodes, each `host:port`, and how long a call may take in all."""

    def __init__(self, doors, timeout=15.0, context=None):
        self.doors, self.timeout, self.context = list(doors), timeout, context
        self.local = threading.local()

    def get(self, key):
        """What a key holds, and the revision at which it was last set; `Absent` if it is not there."""
        headers, body = self.ask("GET", f"/v1/kv/{quoted(key)}")
        return body, int(headers["etag"].strip('"'))

    def put(self, key, value, revision=None, absent=False):
        """Sets a key: only if it was last set at `revision`, or only if it is `absent`. The revision of it."""
        headers = {"Content-Type": "application/octet-stream"}
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        if absent:
            headers["If-None-Match"] = "*"
        _, body = self.ask("PUT", f"/v1/kv/{quoted(key)}", value, headers)
        return json.loads(body)["revision"]

    def delete(self, key):
        """Removes a key; whether it was there."""
        _, body = self.ask("DELETE", f"/v1/kv/{quoted(key)}")
        return json.loads(body)["existed"]

    def update(self, key, change):
        """Sets a key to `change(what it holds, or None)`, as often as somebody else is faster."""
        while True:
            try:
                value, revision = self.get(key)
                expected = {"revision": revision}
            except Absent:
                value, expected = None, {"absent": True}
            try:
                return self.put(key, change(value), **expected)
            except Mismatch:
                continue

    def count(self, name, by=1):
        """Counts; what the counter is since."""
        answer = self.call("POST", f"/v1/counters/{quoted(name)}:add", {"by": str(by)})
        return int(answer["value"])

    def append(self, name, value):
        """Adds an entry to a journal; its position."""
        headers = {"Content-Type": "application/octet-stream"}
        _, body = self.ask("POST", f"/v1/journals/{quoted(name)}", value, headers)
        return json.loads(body)["position"]

    def entries(self, name, after=0):
        """The entries of a journal after a position: (position, value)."""
        while True:
            page = self.call("GET", f"/v1/journals/{quoted(name)}?after={after}")
            for entry in page["entries"]:
                after = entry["position"]
                yield after, octets(entry)
            if not page["more"]:
                return

    def lock(self, name, ttl=10.0, wait=None):
        """A lock, to be used in a `with`; `Taken` if another holds it for longer than `wait` seconds."""
        return Held(self, "locks", name, ttl, wait, {})

    def campaign(self, name, candidate, ttl=10.0, wait=None):
        """The office of an election, to be used in a `with`: `Taken` if it is not granted in time."""
        return Held(self, "elections", name, ttl, wait, {"candidate": candidate})

    def incumbent(self, name):
        """Who is the incumbent of an election: its candidate, token and value; `None` if nobody is."""
        return self.call("GET", f"/v1/elections/{quoted(name)}").get("incumbent")

    def call(self, method, path, document=None, **how):
        """Asks with a JSON document, and for one."""
        headers = {} if document is None else {"Content-Type": "application/json"}
        body = None if document is None else json.dumps(document).encode()
        _, answer = self.ask(method, path, body, headers, **how)
        return json.loads(answer)

    def ask(self, method, path, body=None, headers=None, patience=None, within=None):
        """Asks one door after another until one answers, under one key."""
        headers = dict(headers or {})
        if method != "GET":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        until = time.monotonic() + (self.timeout if within is None else within)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise Unavailable(f"no door of {', '.join(self.doors)} answered in time")
            try:
                status, told, answer = self.once(method, path, body, headers, left, patience)
            except (OSError, http.client.HTTPException):
                self.turn()
                time.sleep(min(0.05, left))
                continue
            if status < 300:
                return told, answer
            if status in (503, 504):
                self.turn()
                time.sleep(min(0.1, left))
                continue
            raise KINDS.get(status, Refused)(status, json.loads(answer))

    def once(self, method, path, body, headers, left, patience):
        """Asks the present door, over the connection that this thread has to it."""
        deadline_ms = str(max(1, min(5_000, int(left * 1_000))))
        headers = {"Synod-Deadline-Ms": deadline_ms, **headers}
        held = getattr(self.local, "connection", None)
        if held is None:
            held = self.local.connection = self.connect()
        # A door that says nothing for longer than the cluster was given is taken for dead.
        held.timeout = min(left, 6.0) + (patience or 0.0)
        if held.sock is not None:
            held.sock.settimeout(held.timeout)
        held.request(method, path, body=body, headers=headers)
        answer = held.getresponse()
        content = answer.read()
        if answer.will_close:
            held.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content

    def connect(self):
        place = getattr(self.local, "place", 0)
        door = self.doors[place % len(self.doors)]
        if self.context is not None:
            return http.client.HTTPSConnection(door, context=self.context)
        return http.client.HTTPConnection(door)

    def turn(self):
        """The next door is asked from here on, by this thread."""
        held = getattr(self.local, "connection", None)
        if held is not None:
            held.close()
        self.local.connection = None
        self.local.place = getattr(self.local, "place", 0) + 1


def octets(entry):
    """The value of an entry, which is text or base 64."""
    if "value" in entry:
        return entry["value"].encode()
    return base64.b64decode(entry["value_base64"])


class Held:
    """A lock or an office, while its `with` lasts: `token` is what is shown to whatever it guards, and `lost` is set
    when it may be another's. Whatever was done under it has to have stopped by then."""

    def __init__(self, synod, kind, name, ttl, wait, rest):
        self.synod, self.kind, self.name = synod, kind, name
        self.ttl, self.wait, self.rest = ttl, wait, rest
        self.lost, self.ended = threading.Event(), threading.Event()
        self.token = self.lease = None

    def __enter__(self):
        self.lease = self.synod.call("POST", "/v1/leases", {"ttl_ms": int(self.ttl * 1_000)})["lease"]
        try:
            self.token = self.stand()
            # From before this is sent it is ours for its time to live.
            self.until = time.monotonic() + self.ttl
            self.synod.call("POST", f"/v1/leases/{self.lease}:renew")
        except BaseException:
            self.give_back()
            raise
        self.thread = threading.Thread(target=self.renew, daemon=True)
        self.thread.start()
        return self

    def stand(self):
        """Asks, and again if its door dies: on one lease that is one place in the queue, at whichever door."""
        until = time.monotonic() + (self.wait or 0.0)
        while True:
            left = max(0.0, until - time.monotonic())
            document = {"lease": self.lease, **self.rest}
            if self.wait is not None:
                document["wait_ms"] = int(left * 1_000)
            path, within = f"/v1/{self.kind}/{quoted(self.name)}", self.synod.timeout + left
            answer = self.synod.call("POST", path, document, patience=left, within=within)
            if "token" in answer:
                return answer["token"]
            if time.monotonic() >= until:
                error = {"code": "taken", "message": "it was not granted in time"}
                raise Taken(409, {"error": error, "present": answer.get("incumbent")})

    def renew(self):
        """Three times in its time to live; lost when none of them was heard, or when the cluster says so."""
        while not self.ended.wait(self.ttl / 3):
            sent, left = time.monotonic(), self.until - time.monotonic()
            try:
                self.synod.call("POST", f"/v1/leases/{self.lease}:renew", within=max(0.0, left))
                self.until = sent + self.ttl
            except (Refused, Unavailable):
                break
            if time.monotonic() >= self.until:
                break
        if not self.ended.is_set():
            self.lost.set()

    def give_back(self):
        try:
            self.synod.call("DELETE", f"/v1/leases/{self.lease}")
        except (Refused, Unavailable):
            # It ends by itself, for nobody renews it.
            pass

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.give_back()
