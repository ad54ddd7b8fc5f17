"""A network of the job's own: slirp4netns carries what goes out; the host's loopback and link-local addresses are not there."""

import _socket
import ctypes
import fcntl
import os
import select
import struct

from runner import processes

_NS_GET_USERNS = 0xB701
_NEWUSER, _NEWNET = 0x10000000, 0x40000000
_RTM_NEWROUTE, _RTN_BLACKHOLE, _RTPROT_STATIC, _RT_TABLE_MAIN, _RTA_DST = 24, 6, 4, 254, 1
_CAP_SYS_ADMIN = 21
_LINK_LOCAL = ("169.254.0.0", 16)


class NetworkError(Exception):
    """The job's network could not be set up; the text is for people."""


def start(attempt, config, child, *, fifo):
    """Connect the network namespace of process `child`; returns when it is ready. One that an earlier runner started is replaced.

    The helper also keeps the output's FIFO open, so that what the job writes while no runner lives is not lost when the job ends then.
    """
    end(attempt)
    ready, ready_writer = os.pipe()
    namespaces = _namespaces(child)
    pid = os.fork()
    if pid == 0:
        _become_slirp(attempt, config.slirp4netns, child, namespaces[0], ready_writer, fifo)
    os.close(ready_writer)
    try:
        _cut_off(namespaces, [_LINK_LOCAL, *((address, 32) for address in config.unreachable)])
        if not select.select([ready], [], [], 10)[0] or os.read(ready, 1) != b"1":
            raise NetworkError("slirp4netns did not start; runner.log beside the attempt says why")
    finally:
        for number in (ready, *namespaces):
            os.close(number)


def end(attempt):
    """End the helper of this attempt, whoever started it."""
    processes.end(attempt.identity("network"))
    attempt.forget("network.pid")


def _namespaces(child):
    """Descriptors of the user namespace that owns the child's network, and of that network."""
    net = os.open(f"/proc/{child}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    return fcntl.ioctl(net, _NS_GET_USERNS), net


def _become_slirp(attempt, program, child, user_namespace, ready, fifo):
    try:
        os.setsid()
        attempt.remember("network")
        for number in (user_namespace, ready):
            os.set_inheritable(number, True)
        processes.wait_until(lambda: _has_loopback(child), 10)
        os.dup2(fifo, 0)
        os.dup2(os.open("/dev/null", os.O_RDWR), 1)
        options = ["--configure", "--mtu=65520", "--disable-host-loopback", f"--ready-fd={ready}"]
        if _may_mount():  # it reads what the job sends: root's rights are not for it
            options.append("--enable-sandbox")
        options += [f"--userns-path=/proc/self/fd/{user_namespace}", str(child), "tap0"]
        os.execv(program, ["slirp4netns", *options])  # noqa: S606
    except BaseException as error:
        print(f"slirp4netns: {error}", flush=True)
    os._exit(127)


def _may_mount():
    """Whether we are root with all of root's rights; in a container, root may be without."""
    with open("/proc/self/status") as file:
        held = next(line for line in file if line.startswith("CapEff:"))
    return os.getuid() == 0 and bool(int(held.split()[1], 16) >> _CAP_SYS_ADMIN & 1)


def _has_loopback(child):
    """Whether bubblewrap has given `child` its 127.0.0.1. Where slirp4netns does so first, bubblewrap fails for finding it there."""
    try:
        with open(f"/proc/{child}/net/fib_trie") as file:
            return "127.0.0.1" in file.read()
    except OSError:
        return True  # gone, or a kernel that does not tell: go on


def _cut_off(namespaces, networks):
    """Make networks unreachable, from a process that joins the namespaces: link-local addresses (a cloud's metadata service), and the
    host's own, because what listens on all of them is often meant for the host alone."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            for number, kind in zip(namespaces, (_NEWUSER, _NEWNET), strict=True):
                if libc.setns(number, kind):
                    raise OSError(ctypes.get_errno(), "setns")
            for network, prefix in networks:
                _blackhole(network, prefix)
            code = 0
        except BaseException as error:
            print(f"blackhole route: {error}", flush=True)
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1]:
        raise NetworkError(
            "the host's own and link-local addresses could not be cut off; runner.log beside the attempt says why"
        )


def _blackhole(network, prefix):
    """One netlink message: what `ip route add blackhole` does."""
    destination = struct.pack("=HH4s", 8, _RTA_DST, _socket.inet_aton(network))
    route = struct.pack(
        "=BBBBBBBBI", _socket.AF_INET, prefix, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, 0, _RTN_BLACKHOLE, 0
    )
    flags = 0x1 | 0x4 | 0x400 | 0x100  # request, acknowledge, create, replace
    header = struct.pack("=IHHII", 16 + len(route) + len(destination), _RTM_NEWROUTE, flags, 1, 0)
    netlink = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, 0)
    netlink.sendto(header + route + destination, (0, 0))
    answer = netlink.recv(4096)
    error = struct.unpack_from("=i", answer, 16)[0]
    if error:
        raise OSError(-error, os.strerror(-error))
