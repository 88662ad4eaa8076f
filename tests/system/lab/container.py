"""A service of a Compose file without an engine: bubblewrap makes its mount,
process and IPC namespaces, a root that is not the host's and read-only, and
the capabilities that it asks for.  The network is the host's, where the lab's
servers are.  Docker's daemon is not needed, and neither is an image: programs
come from the host's /usr, everything else from directories of the lab."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import yaml

from .agent import BUILD
from .process import Process
from .wait import until

UIDS = {"mailtoken": 8125, "postfix": 8126}
HOSTS_FILES = ("ld.so.cache", "ld.so.conf", "nsswitch.conf", "services",
               "protocols", "localtime", "mailname")
SYMLINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib",
            "lib64": "usr/lib64"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STOP_S = 40


class Image:
    """What the page's Dockerfile makes, as directories that are mounted."""

    def __init__(self, directory: Path, plugins: Path, ca: Path):
        self.directory, self.plugins = directory, plugins
        self.etc, self.local = directory / "etc", directory / "local"
        for path in (self.etc / "mailtoken", self.etc / "ssl" / "certs",
                     self.local / "bin", self.local / "sbin"):
            path.mkdir(mode=0o755, parents=True)
        for name in HOSTS_FILES:
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), self.etc / name)
        shutil.copytree("/etc/postfix", self.etc / "postfix", symlinks=True)
        shutil.copy(ca, self.etc / "ssl" / "certs" / "ca-certificates.crt")
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n")
        shutil.copy(BUILD / "mailtoken", self.local / "bin")
        shutil.copy(BUILD / "mailtokend", self.local / "sbin")
        self._users()

    def _users(self):
        """The page's uids, which are not the host's."""
        for name in ("passwd", "group"):
            lines = []
            for line in Path("/etc", name).read_text().splitlines():
                fields = line.split(":")
                if fields[0] not in UIDS:
                    lines.append(line)
            for user, uid in UIDS.items():
                lines.append(f"{user}:x:{uid}:" if name == "group" else
                             f"{user}:x:{uid}:{uid}::/nonexistent:"
                             "/usr/sbin/nologin")
            (self.etc / name).write_text("\n".join(lines) + "\n")

    def script(self, name: str, text: str):
        path = self.local / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def root(self, writable: bool = False) -> list:
        """bubblewrap's arguments; writable: while the image is made."""
        etc = "--bind" if writable else "--ro-bind"
        args = ["--ro-bind", "/usr", "/usr", etc, self.etc, "/etc",
                "--ro-bind", self.local, "/usr/local", "--ro-bind",
                self.plugins, next(Path("/usr/lib").glob("*/sasl2")),
                "--proc", "/proc", "--dev", "/dev"]
        for name, target in SYMLINKS.items():
            args += ["--symlink", target, f"/{name}"]
        for name in ("/tmp", "/run", "/var/spool", "/var/lib"):
            args += ["--dir", name]
        return args + ["--unshare-pid", "--unshare-ipc", "--unshare-uts",
                       "--die-with-parent", "--clearenv", "--setenv", "PATH",
                       PATH]

    def build(self, script: str):
        """RUN in a Dockerfile."""
        done = subprocess.run(
            ["bwrap", *map(str, self.root(writable=True)), script],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60)
        assert done.returncode == 0, (script, done.stdout, done.stderr)


def services(text: str) -> dict:
    """Of a Compose file; what this file does not know is an error."""
    compose = yaml.safe_load(text)
    known = {"image", "entrypoint", "user", "read_only", "tmpfs", "volumes",
             "secrets", "cap_drop", "cap_add", "security_opt",
             "stop_grace_period", "restart"}
    for service in compose["services"].values():
        assert set(service) <= known, set(service) - known
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    return compose["services"]


class Container:
    """files: where relative paths of the Compose file and its secrets are;
    volumes: the named ones."""

    def __init__(self, image: Image, name: str, service: dict, files: Path,
                 volumes: Path):
        self.image, self.name, self.service = image, name, service
        self.files, self.volumes = files, volumes
        self.directory = image.directory.parent / name
        self.directory.mkdir(mode=0o755)
        self.log = self.directory / "log"
        self.process = self.pid = None

    def _tmpfs(self) -> list:
        args = []
        for i, entry in enumerate(self.service.get("tmpfs", [])):
            path, _, options = entry.partition(":")
            keys = dict(o.split("=") for o in options.split(",") if o)
            fresh = self.directory / f"tmpfs{i}"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            fresh.chmod(int(keys.get("mode", "1777"), 8))
            os.chown(fresh, int(keys.get("uid", 0)), 0)
            args += ["--bind", fresh, path]
        return args

    def _mounts(self) -> list:
        args = []
        for entry in self.service.get("volumes", []):
            what, path, *mode = entry.split(":")
            source = self.volumes / what
            if what.startswith("./"):
                source = self.files / what
                # An engine makes the place to mount it on.
                self.image.etc.joinpath(*Path(path).parts[2:]).touch()
            else:
                source.mkdir(mode=0o755, exist_ok=True)
            args += ["--ro-bind" if mode == ["ro"] else "--bind", source, path]
        args += ["--dir", "/run/secrets"] * ("secrets" in self.service)
        for name in self.service.get("secrets", []):
            args += ["--ro-bind", self.files / name, f"/run/secrets/{name}"]
        return args

    def _user(self) -> list:
        user = self.service.get("user")
        if not user:
            return ["setpriv", "--no-new-privs"]
        uid, gid = user.split(":")
        return ["setpriv", f"--reuid={uid}", f"--regid={gid}",
                "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
                "--no-new-privs"]

    def argv(self) -> list:
        caps = self.service.get("cap_add", [])
        # A runtime changes to the user before it gives capabilities up.
        if "user" in self.service:
            caps = ["SETUID", "SETGID", "SETPCAP"]
        args = self.image.root() + self._tmpfs() + self._mounts()
        args += ["--remount-ro", "/", "--as-pid-1", "--cap-drop", "ALL"]
        for cap in caps:
            args += ["--cap-add", f"CAP_{cap}"]
        return args + self._user() + self.service["entrypoint"]

    def start(self):
        read, write = os.pipe()
        self.process = Process(["bwrap", "--info-fd", write, *self.argv()],
                               self.log, env={}, pass_fds=[write])
        os.close(write)
        with os.fdopen(read) as info:
            said = info.read()
        assert said, self.text()
        self.pid = json.loads(said)["child-pid"]
        return self

    def alive(self) -> bool:
        return self.process.alive()

    def wait(self, words: str, timeout: float = 20):
        def seen():
            assert self.alive() or words in self.text(), self.text()
            return words in self.text()
        until(seen, timeout, f"{words!r} in the log of {self.name}")

    def run(self, *argv) -> subprocess.CompletedProcess:
        """docker exec."""
        return subprocess.run(
            # --root: what is mounted need not begin at our root, in a chroot.
            ["nsenter", f"--target={self.pid}", "--mount", "--root", "--pid",
             "--ipc", "env", "-i", f"PATH={PATH}", *map(str, argv)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=30)

    def stop(self) -> int:
        """SIGTERM to its first process; returns its exit status."""
        if self.process and self.alive():
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.process.popen.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.stop()
                raise
        return self.process.popen.returncode if self.process else 0

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""
