"""The sandbox: bubblewrap, started as an unprivileged user, with nothing of the host but /usr and what the job was given."""

import contextlib
import ctypes
import fcntl
import os
import signal

from runner import stage

# Where the pieces lie inside.
WORK, OUTPUT, UV, OPTIONS = "/work", "/output", "/run/mlteam/uv", "/run/mlteam/options"
ENVIRONMENT = "/environment"  # a shared one; its host path could lie below a directory of the same name as the job's
OWN_ENVIRONMENT = f"{WORK}/.venv"  # built in the job's own sandbox
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYSTEM_LINKS = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
_ETC = (
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/localtime",
)
_SYS = ("/sys/devices", "/sys/bus", "/sys/class", "/sys/module", "/sys/dev")
# Processes and threads that a job may have: so many, and more for each CPU core.
PROCESSES, PROCESSES_PER_CPU = 4096, 1024
_KEYCTL, _JOIN_SESSION_KEYRING = {"x86_64": 250, "aarch64": 219}, 1  # the number of the system call
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/nvidia-caps")


def shown(config, venv):
    """Host path -> where the job sees it. They may lie where only the server's user can go."""
    places = {config.work: WORK, config.output: OUTPUT}
    prefix = config.base_prefix
    if prefix and not prefix.startswith("/usr/") and prefix != "/usr":
        places[prefix] = prefix
    if venv == OWN_ENVIRONMENT:
        places[config.packages["uv"]] = UV
        places.update(option_places(config))
    elif venv:
        places[venv] = ENVIRONMENT
    return places


def option_places(config):
    """Directories among uv's options (`--find-links /wheels`) -> where the job sees them while it builds."""
    directories = [
        option for option in config.packages.get("options", []) if os.path.isabs(option) and os.path.isdir(option)
    ]
    return {path: f"{OPTIONS}/{number}" for number, path in enumerate(directories)}


def inside(venv):
    """Where the job sees its Python environment, if it has one."""
    return venv if venv in (None, "", OWN_ENVIRONMENT) else ENVIRONMENT


def environment(config, venv):
    """The job's environment, complete: what the server says, and where things are; `venv` as the job sees it."""
    values = {"PATH": PATH, "LANG": "C.UTF-8", **config.environment}
    values.update(HOME=WORK, USER="job", LOGNAME="job", PWD=_workdir(config), MLTEAM_OUTPUT=OUTPUT, TMPDIR="/tmp")  # noqa: S108
    values["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.get("uuid") or str(gpu["index"]) for gpu in config.gpus)
    if venv:
        values.update(VIRTUAL_ENV=venv, PATH=f"{venv}/bin:{values['PATH']}")
    return values


def _workdir(config):
    return os.path.normpath(os.path.join(WORK, config.workdir or WORK))


def arguments(config, *, command, venv, network, located, descriptors):
    """bubblewrap's argv after its own name.

    `located` maps host paths to where they can be reached now; `descriptors` holds the numbers of block, status and of the files of /etc.
    """
    argv = [
        "--unshare-user",
        "--disable-userns",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]
    argv += ["--new-session", "--cap-drop", "ALL", "--hostname", "job", "--clearenv"]
    argv += ["--unshare-net"] if network == "own" else []
    argv += _system()
    argv += _etc(descriptors)
    argv += _devices(config)
    argv += ["--bind", located[config.work], WORK, "--bind", located[config.output], OUTPUT]
    argv += _extras(config, venv, located)
    for mount in config.mounts:
        argv += _bound(mount, located, descriptors)
    for place in config.key_files:
        argv += ["--perms", "0400", "--ro-bind-data", str(descriptors[place]), place]
    argv += ["--remount-ro", "/dev", "--remount-ro", "/"]  # memory that no limit of the job's would count
    for name, value in environment(config, inside(venv)).items():
        argv += ["--setenv", name, value]
    argv += ["--chdir", _workdir(config)]
    argv += ["--block-fd", str(descriptors["block"])]
    argv += ["--json-status-fd", str(descriptors["status"]), "--", *command]
    return argv


def _bound(mount, located, descriptors):
    volume, target = mount.get("volume"), mount["target"]
    if volume is None:
        return ["--ro-bind", located[mount["source"]], target]
    kind = "bind" if volume["writes"] else "ro-bind"
    if target in descriptors:  # by what was opened: a name in a volume may be a link by now
        return [f"--{kind}-fd", str(descriptors[target]), target]
    return [f"--{kind}", located[_key(mount)], target]


def _key(mount):
    """A volume among the places: two parts of one are two."""
    return f"volume:{mount['target']}"


def _volumes(config):
    """Key -> what makes a mount of a volume that the job's user owns."""
    from runner import volumes

    def maker(source, volume):
        return lambda: volumes.mapped(volumes.opened(source, volume["sub"]), volume["owner"], config.uid)

    return {_key(one): maker(one["source"], one["volume"]) for one in config.mounts if "volume" in one}


def _opened_volumes(config):
    """Where a job sees a volume -> a descriptor of it, where all is of one user anyway."""
    from runner import volumes

    shown = [one for one in config.mounts if "volume" in one]
    return {one["target"]: volumes.opened(one["source"], one["volume"]["sub"]) for one in shown}


def _system():
    argv = ["--ro-bind", "/usr", "/usr"]
    for link in _SYSTEM_LINKS:
        if os.path.islink(link):
            argv += ["--symlink", os.readlink(link), link]
        elif os.path.isdir(link):
            argv += ["--ro-bind", link, link]
    for path in _SYS:
        argv += ["--ro-bind-try", path, path]
    return [*argv, "--proc", "/proc"]


def _etc(descriptors):
    argv = []
    for path in _ETC:
        argv += ["--ro-bind-try", path, path]
    for name in ("passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"):
        argv += ["--ro-bind-data", str(descriptors[name]), f"/etc/{name}"]
    return argv


def _devices(config):
    size = str((config.memory_mib or 1024) * 1024 * 1024)
    argv = ["--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm"]  # noqa: S108
    argv += ["--size", size, "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108
    if config.gpus:
        for path in [*(f"/dev/nvidia{gpu.get('minor', gpu['index'])}" for gpu in config.gpus), *_GPU_DEVICES]:
            argv += ["--dev-bind-try", path, path]
    return argv


def _extras(config, venv, located):
    argv = []
    for path, place in list(shown(config, venv).items())[2:]:
        argv += ["--ro-bind", located[path], place]
    return argv


def etc_files(config, network):
    """The small files of /etc inside: one user, one group, and how names are resolved."""
    uid, gid = (config.uid, config.uid) if config.uid is not None else (os.getuid(), os.getgid())
    return {
        "passwd": f"job:x:{uid}:{gid}:job:{WORK}:/bin/sh\n",
        "group": f"job:x:{gid}:\n",
        "hosts": "127.0.0.1 localhost job\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "resolv.conf": "nameserver 10.0.2.3\n" if network == "own" else _host_resolver(),
    }


def _host_resolver():
    try:
        with open("/etc/resolv.conf") as file:
            return file.read()
    except OSError:
        return ""


def become(attempt, config, *, command, venv, network):
    """In the forked child: turn into bubblewrap. Returns only by an exception; what it says goes to the job's log."""
    status = os.open(attempt.path("sandbox.status"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    # Read and write: the block lasts until someone writes, also when the runner dies before.
    block = os.open(attempt.path("start.fifo"), os.O_RDWR)
    descriptors = {"status": status, "block": block}
    for name, text in etc_files(config, network).items():
        descriptors[name] = _holding(text)
    for place, text in config.key_files.items():
        descriptors[place] = _holding(text)
    if os.getuid():
        descriptors.update(_opened_volumes(config))
    for number in descriptors.values():
        os.set_inheritable(number, True)
    versions = [mount["source"] for mount in config.mounts if "volume" not in mount]
    paths = [*shown(config, venv), *versions, stage.program_root(config.bwrap)]
    located = stage.reachable(paths, _volumes(config)) if os.getuid() == 0 else {path: path for path in paths}
    program = stage.relocated(config.bwrap, located)
    bound(config)
    if os.getuid() == 0:
        drop(config.uid)
    forget_keys()
    argv = arguments(config, command=command, venv=venv, network=network, located=located, descriptors=descriptors)
    # What the kernel shows of a program's arguments, everybody on the host may read: the job's environment comes in a file.
    options = _holding("".join(f"{word}\0" for word in argv[: len(argv) - len(command) - 1]))
    os.set_inheritable(options, True)
    os.execve(program, ["bwrap", "--args", str(options), "--", *command], {"PATH": PATH})  # noqa: S606


def _holding(text):
    """A descriptor of an unnamed file with this text."""
    file = os.memfd_create("etc", 0)
    os.write(file, text.encode())
    os.lseek(file, 0, os.SEEK_SET)
    return file


def drop(uid):
    """Become the job's own unprivileged user for good. Root without one refuses: as root, a sandbox is none."""
    if not uid:
        raise PermissionError("the server runs as root and has no unprivileged user id for this job")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def bound(config):
    """A bound to the number of the job's processes: the host has only so many for all."""
    import resource  # before the uid is dropped, which may not reach the server's Python

    if config.uid:
        most = PROCESSES + PROCESSES_PER_CPU * (int(config.cpu or os.cpu_count()) + 1)
    else:  # all jobs and the server are of one user, and are counted together
        most = 4 * PROCESSES + PROCESSES_PER_CPU * os.cpu_count()
    _, ceiling = resource.getrlimit(resource.RLIMIT_NPROC)
    most = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def forget_keys():
    """Leave the kernel's keys of the session in which the server was started."""
    number = _KEYCTL.get(os.uname().machine)
    if number:
        ctypes.CDLL(None).syscall(number, _JOIN_SESSION_KEYRING, None)  # refused where there are no keys at all


def plain_signals():
    """Undo what Python does to signals: the job starts with the defaults."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def attach_output(fifo_path):
    """Standard input from nothing, standard output and error into the FIFO.

    Opened for reading too, so that a write never fails for want of a reader; opened anew, so that flags the job sets are its own.
    """
    nothing = os.open("/dev/null", os.O_RDONLY)
    fifo = os.open(fifo_path, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(fifo, 1)
    os.dup2(fifo, 2)
    os.close(nothing)
    os.close(fifo)


def make_output(fifo_path, uid):
    """The FIFO. The job may open it for writing once more (/dev/stderr, /proc/self/fd/1), but not change what the runner owns."""
    try:
        os.mkfifo(fifo_path, 0o600)
    except FileExistsError:
        return
    if os.getuid() == 0 and uid:
        os.chown(fifo_path, 0, uid)
        os.chmod(fifo_path, 0o620)


def open_output(fifo_path):
    """The runner's end: never at its end, never waiting, large."""
    fifo = os.open(fifo_path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a user's share of pipe memory is spent: the usual 64 KiB
        fcntl.fcntl(fifo, fcntl.F_SETPIPE_SZ, 1 << 20)
    return fifo
