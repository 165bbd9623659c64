"""Waiting: /net/poll behind `select`, `selectors` and `time.sleep`."""

import errno
import os
import select
import selectors
import stat
import time

from . import files

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_WANTS = {READ: "r", WRITE: "w", READ | WRITE: "rw"}


class Poll:
    """One open /net/poll: what it waits for stays until it is changed."""

    def __init__(self):
        self._fd = files.open_file("poll")
        self._timeout = None
        self._said = []

    def close(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def set(self, who, events):
        self._said.append("%s %s\n" % (who, _WANTS.get(events, "-")))

    def wait(self, timeout):
        """[(who, events)]; events with 4 for an error or the other side's end. `timeout` in seconds, None: for ever."""
        timeout = None if timeout is None else max(0, int(timeout * 1e9))
        if timeout != self._timeout:
            self._said.append("timeout %s\n" % ("-" if timeout is None else min(timeout, 10**18 - 1)))
            self._timeout = timeout
        if self._said:
            said, self._said = "".join(self._said).encode(), []
            while said:  # as many lines as are taken at a time
                said = said[os.write(self._fd, said):]
        found = []
        for line in os.read(self._fd, 65536).decode().splitlines():
            who, _, held = line.partition(" ")
            events = (READ if "r" in held else 0) | (WRITE if "w" in held else 0)
            found.append((who, events | (4 if "h" in held or "e" in held else 0)))
        return found


_shared = None


def _poll():
    global _shared
    if _shared is None:
        _shared = Poll()
    return _shared


def wait_for(who, events, timeout):
    """Whether that came in time."""
    poll = _poll()
    poll.set(who, events)
    try:
        return bool(poll.wait(timeout))
    finally:
        poll.set(who, 0)


def sleep(seconds):
    """Suspends execution for a number of seconds."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    _poll().wait(seconds)


class _Set:
    """Descriptors by how files call them. What never has to be waited for is ready at once."""

    def __init__(self):
        self.poll = Poll()
        self.by_name = {}
        self.by_fd = {}
        self.ready = {}

    def set(self, fd, events):
        who = self.by_fd.get(fd)
        if who is None and events:
            mode = os.fstat(fd).st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                who = ""
            else:
                who = files.name_of(fd)
                self.by_name[who] = fd
            self.by_fd[fd] = who
        if who == "":
            self.ready[fd] = events
        elif who is not None:
            self.poll.set(who, events)
        if not events and who is not None:
            del self.by_fd[fd]
            self.by_name.pop(who, None)
            self.ready.pop(fd, None)

    def wait(self, timeout):
        found = list(self.ready.items())
        for who, events in self.poll.wait(0 if found else timeout):
            fd = self.by_name.get(who)
            if fd is not None:
                found.append((fd, events))
        return found

    def close(self):
        self.poll.close()


class Selector(selectors._BaseSelectorImpl):
    """A selector over /net/poll."""

    def __init__(self):
        super().__init__()
        self._set = _Set()

    def register(self, fileobj, events, data=None):
        key = super().register(fileobj, events, data)
        try:
            self._set.set(key.fd, events)
        except BaseException:
            super().unregister(fileobj)
            raise
        return key

    def unregister(self, fileobj):
        key = super().unregister(fileobj)
        self._set.set(key.fd, 0)
        return key

    def modify(self, fileobj, events, data=None):
        key = self.get_key(fileobj)
        if events != key.events:
            self._set.set(key.fd, events)
        key = key._replace(events=events, data=data)
        self._fd_to_key[key.fd] = key
        return key

    def select(self, timeout=None):
        if timeout is not None and timeout < 0:
            timeout = 0
        found = []
        for fd, events in self._set.wait(timeout):
            key = self._fd_to_key.get(fd)
            if key:
                # an error or an end is told to whoever waits, as poll does
                events = key.events if events & 4 else events & key.events
                if events:
                    found.append((key, events))
        return found

    def close(self):
        self._set.close()
        super().close()


def _fileno(obj):
    return obj if isinstance(obj, int) else obj.fileno()


def select_select(rlist, wlist, xlist, timeout=None):
    """As select.select; exceptional conditions are never told."""
    if timeout is not None and timeout < 0:
        raise ValueError("timeout must be non-negative")
    wants = {}
    for objs, event in ((rlist, READ), (wlist, WRITE)):
        for obj in objs:
            fd = _fileno(obj)
            wants[fd] = wants.get(fd, 0) | event
    waiting = _Set()
    try:
        for fd, events in wants.items():
            waiting.set(fd, events)
        found = dict(waiting.wait(timeout))
    finally:
        waiting.close()

    def those(objs, event):
        return [obj for obj in objs if found.get(_fileno(obj), 0) & (event | 4)]
    return those(rlist, READ), those(wlist, WRITE), []


class select_poll:
    """As select.poll()."""

    def __init__(self):
        self._set = _Set()
        self._masks = {}

    def register(self, fd, eventmask=select.POLLIN | select.POLLPRI | select.POLLOUT):
        fd = _fileno(fd)
        read = READ if eventmask & select.POLLIN else 0
        self._set.set(fd, read | (WRITE if eventmask & select.POLLOUT else 0))
        self._masks[fd] = eventmask

    def modify(self, fd, eventmask):
        if _fileno(fd) not in self._masks:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.register(fd, eventmask)

    def unregister(self, fd):
        fd = _fileno(fd)
        del self._masks[fd]
        self._set.set(fd, 0)

    def poll(self, timeout=None):
        found = self._set.wait(None if timeout is None or timeout < 0 else timeout / 1000)
        return [(fd, (select.POLLIN if events & READ else 0) | (select.POLLOUT if events & WRITE else 0) |
                 (select.POLLHUP if events & 4 else 0)) for fd, events in found]


def install():
    time.sleep = sleep
    select.select = select_select
    select.poll = select_poll
    for name in ("DefaultSelector", "PollSelector", "SelectSelector"):
        setattr(selectors, name, Selector)
