"""The benchmarks of docs/PERFORMANCE.md: every goal against a yardstick that
is measured in the same run.

bench.py [--quick]      exits with 0 only if all goals are met"""

import argparse
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

import local  # noqa: E402
import relay  # noqa: E402
import report  # noqa: E402
import scale  # noqa: E402
from lab.lab import ACCOUNT, Lab  # noqa: E402

LIMIT_S = 900


def options():
    parser = argparse.ArgumentParser(description="mailtoken's benchmarks")
    parser.add_argument("--quick", action="store_true",
                        help="fewer and shorter rounds: about a minute")
    return parser.parse_args()


def measure(lab: Lab, quick: bool) -> dict:
    token = relay.make_token(local.TOKEN_BYTES)
    (lab.directory / "down").mkdir(mode=0o755)
    local.agent_with(lab, [ACCOUNT], token, "agent",
                     [lab.socket, lab.chroot_socket]).start()
    main = lab.agent
    echo = local.start_echo(
        lab, local.answer_of(lab.socket, local.request(ACCOUNT)))
    groups = {
        "get from the agent":
            local.get(lab, echo, 15 if quick else 61, 500),
        "login with a token of 2,000 octets":
            local.login(lab, 100),
        "sasl_client_init":
            local.init(lab, 51 if quick else 301),
        "1,000 state files":
            local.state(lab, 1000),
        "relay with TLS, one login for each message":
            relay.measure(lab, 3 if quick else 16, 150 if quick else 500,
                          token),
    }
    groups["many accounts"] = scale.measure(
        lab, echo, [10000] if quick else [10000, 100000], token,
        9 if quick else 31, 500)
    main.stop()
    return groups


def main() -> int:
    quick = options().quick
    if os.geteuid() != 0:
        print("bench: must run as root: its servers run under several users",
              file=sys.stderr)
        return 77
    signal.alarm(LIMIT_S)
    with Lab() as lab:
        try:
            groups = measure(lab, quick)
        except BaseException:
            for name, text in lab.logs().items():
                print(f"--- {name}\n{text[-1500:]}", file=sys.stderr)
            raise
    return 0 if report.show(groups) else 1


if __name__ == "__main__":
    sys.exit(main())
