"""What `make install` leaves, and what it is made of."""

import os
import subprocess

from lab.installed import ROOT, install


def make(*arguments):
    subprocess.run(["make", "-s", "-C", ROOT, *map(str, arguments)],
                   check=True, timeout=120, stdin=subprocess.DEVNULL)


def test_everybody_can_read_it(tmp_path):
    """Whatever the umask of who installs it."""
    before = os.umask(0o077)
    try:
        root = install(tmp_path / "root")
    finally:
        os.umask(before)
    found = [path for path in root.rglob("*") if not path.is_symlink()]
    assert len([path for path in found if path.suffix == ".service"]) == 2
    for path in found:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o755 if path.is_dir() or mode & 0o111 else 0o644), path


def test_another_sysconfdir_makes_other_programs(tmp_path):
    """And the same one makes nothing."""
    program = tmp_path / "helpers/agent.o"

    def made(sysconfdir: str) -> int:
        make(f"BUILD={tmp_path}", f"SYSCONFDIR={sysconfdir}", "HARD=",
             "CFLAGS=-O0", program)
        assert f"{sysconfdir}/mailtoken/mailtoken.conf".encode() in \
            program.read_bytes()
        return program.stat().st_mtime_ns
    first = made("/etc")
    assert made("/etc") == first
    other = made("/opt/etc")
    assert other != first and made("/opt/etc") == other
