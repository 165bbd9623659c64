#!/usr/bin/env python3
"""Ways out of the sandbox, tried by guests, while somebody outside listens at the other end of each: nobody hears
anything, the guest gets an error at once, and the record and the end of the run say what was tried and why it was
denied.

    escapes.py [CASE...]"""
import ipaddress
import json
import os
import select
import socket

from box import Box, check, guest, main
from net import replayed, write

# Allows all that can be allowed without meaning this machine or the networks around it.
WIDE = """
egress:
  - allow: any
    to: [0.0.0.0/0, "::/0", "*"]
names: ["*"]
"""

# What means it: with this the same attempts get through, or the test would prove nothing.
OPEN = """
egress:
  - allow: any
    to: [127.0.0.0/8, "::1"]
unix: [PATH]
"""

# This machine, in all the ways that programs and resolvers have of saying so, and what may lie around it.
HERE = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::ffff:127.0.0.1", "::ffff:7f00:1", "::1", "::", "::ffff:0.0.0.0"]
NUMBERS = ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"]
AROUND = ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "fe80::1", "168.63.129.16", "10.0.0.1",
          "192.168.0.1", "172.16.0.1", "100.64.0.1", "224.0.0.1", "255.255.255.255", "64:ff9b::7f00:1", "2002:7f00:1::"]

TOLD = 32  # denials that the end of a run tells


class Outside:
    """Listens for everybody, by every protocol, and counts whom it hears."""

    def __init__(self, box):
        self.path = os.path.join(box.work, "socket")
        self.tcp = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.udp.bind(("::", self.port))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(self.path)
        self.unix.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in (self.tcp, self.udp, self.unix):
            s.close()

    def heard(self):
        """Which of its sockets somebody came to since it was last asked, and how often."""
        names, sockets = [], {self.tcp: "tcp", self.udp: "udp", self.unix: "unix"}
        while ready := select.select(list(sockets), [], [], 0.05)[0]:
            for s in ready:
                if s is self.udp:
                    s.recv(100)
                else:
                    s.accept()[0].close()
                names.append(sockets[s])
        return names


def own_address():
    """A private address of this machine; None: it has none. (A global one is what the wide policy allows.)"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = s.getsockname()[0]
        return address if ipaddress.ip_address(address).is_private else None


def names_of_loopback():
    """Names but localhost that this machine's resolver takes for loopback."""
    found = []
    for name in {socket.gethostname(), "ip6-loopback", "ip6-localhost"}:
        try:
            answers = {a[4][0] for a in socket.getaddrinfo(name, 80)}
        except OSError:
            continue
        if all(a == "::1" or a.startswith("127.") for a in answers):
            found.append(name)
    return found


def shown(address):
    """An address as denials have it."""
    a = ipaddress.ip_address(address)
    if a.version == 4:
        return address
    return f"[::ffff:{a.ipv4_mapped}]" if a.ipv4_mapped else f"[{a}]"


def attempts(outside):
    """Pairs: what the guest tries, and how a denial of it begins ("": it may come to nothing without one)."""
    port, tried = outside.port, []
    own = own_address()
    for address in HERE + AROUND + ([own] if own else []):
        there = 80 if address in AROUND else port
        for how in ("tcp", "wait", "udp"):
            protocol = "udp" if how == "udp" else "tcp"
            tried.append((f"{how} {address} {there}", f"{protocol} to {shown(address)}:{there}"))
    for text in [*NUMBERS, "localhost", *names_of_loopback()]:
        tried.append((f"tcp {text} {port}", ""))
        tried.append((f"udp {text} {port}", ""))
    tried.append((f"unix {outside.path}", f"unix {outside.path}"))
    tried.append((f"file /net/tcp/127.0.0.1:{port}", ""))
    tried.append((f"file /net/udp/127.0.0.1:{port}", ""))
    return tried


def denials(box, run_id):
    """What the record notes but the policy itself."""
    lines = [json.loads(line) for line in box.aeon("trace", "--json", run_id, expect=0).out.splitlines()]
    return [line["note"] for line in lines if "note" in line and not line["note"].startswith("policy ")]


def tried_in_vain(box, outside, options, tried):
    """One run's attempts; the denials."""
    live = box.aeon("run", *options, guest("escape.wasm"), *(a for a, _ in tried), expect=0)
    check(not (heard := outside.heard()), f"it was heard by {heard}: {live}")
    said = live.out.decode().splitlines()
    check([s.rpartition(": ")[0] for s in said] == [a for a, _ in tried], f"it said: {live.out}")
    for line in said:
        check(line.split(": ")[-1] not in ("REACHED", "Success", "not an attempt"), f"it said: {line}")
    run_id = box.last_id()
    denied = denials(box, run_id)
    for note in denied:
        check("denied" in note, f"the note says: {note}")
        check(b"aeon: " + note.encode() in live.err, f"'{note}' is not told at the end: {live.err.decode()}")
    for attempt, begins in tried:
        check(not begins or any(n.startswith(begins) for n in denied), f"no denial of {attempt}: {denied}")
    replayed(box, run_id, live.out)
    return denied


def closed(policy, reasons):
    """`reasons`: what denials give as one, each at least once."""
    def run():
        with Box() as box, Outside(box) as outside:
            tried, denied = attempts(outside), []
            options = ["--policy", write(box, "net.yaml", policy)] if policy else []
            for i in range(0, len(tried), TOLD):
                denied += tried_in_vain(box, outside, options, tried[i:i + TOLD])
            for reason in reasons:
                check(any(reason in n for n in denied), f"no denial says '{reason}': {denied}")
            return f"{len(tried)} attempts, {len(denied)} denials"
    return run


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def opened():
    """The same guest, with a policy that means it, gets through: the test can fail."""
    with Box() as box, Outside(box) as outside:
        policy = write(box, "net.yaml", OPEN.replace("PATH", outside.path))
        tried = [f"{how} {address} {outside.port}" for how in ("tcp", "wait", "udp")
                 for address in ("127.0.0.1", "::ffff:127.0.0.1", "::1", "0.0.0.0")
                 if address != "::1" or has_ipv6()] + [f"unix {outside.path}"]
        each = (len(tried) - 1) // 3
        live = box.aeon("run", "-q", "--policy", policy, guest("escape.wasm"), *tried, expect=0)
        said = live.out.decode().splitlines()
        check(said == [f"{a}: REACHED" for a in tried], f"it said: {live}")
        heard = outside.heard()
        counts = (heard.count("tcp"), heard.count("udp"), heard.count("unix"))
        check(counts == (2 * each, each, 1), f"it was heard by {heard}")
        replayed(box, box.last_id(), live.out)
        check(not (heard := outside.heard()), f"the replay was heard by {heard}")


def names():
    """A rule by name leads to no loopback, whatever the resolver says."""
    found = names_of_loopback()
    if not found:
        return "skipped: no name but localhost is loopback here"
    with Box() as box, Outside(box) as outside:
        targets = ", ".join(f'"{n}"' for n in found)
        policy = write(box, "net.yaml", f"egress:\n  - allow: any\n    to: [{targets}]\n")
        live = box.aeon("run", "--policy", policy, guest("escape.wasm"), *(f"tcp {n} {outside.port}" for n in found),
                        expect=0)
        check(not (heard := outside.heard()), f"it was heard by {heard}: {live}")
        check(b"REACHED" not in live.out, f"{live}")
        denied = denials(box, box.last_id())
        check(all(any(n in d and "loopback" in d for d in denied) for n in found), f"the notes say: {denied}")
        replayed(box, box.last_id(), live.out)
        return ", ".join(found)


if __name__ == "__main__":
    main({
        "closed": closed(None, ["there is no policy"]),
        "wide": closed(WIDE, ["is loopback, which 0.0.0.0/0", "is link-local, which 0.0.0.0/0", "is private, which",
                              "is multicast, which", "is reserved, which"]),
        "opened": opened,
        "names": names,
    })
