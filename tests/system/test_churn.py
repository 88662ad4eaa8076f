"""Everything at the same time: all operations, clients who leave in the middle
or talk on, a provider that changes its mind, accounts that come and go."""

import random
import signal
import threading
import time

from lab import wire

NAMES = [f"a{i}@contoso.example" for i in range(8)]
CLIENTS, LASTS_S = 6, 8
OPS = "get get get reject refresh forget status metrics reload dance".split()
REASONS = ["", "535 5.7.3 Authentication unsuccessful", "eyJ0" * 20,
           "535 5.7.139 SmtpClientAuthentication is disabled for the Mailbox"]


def request(choose: random.Random) -> bytes:
    pairs = {"version": 1, "op": choose.choice(OPS)}
    if pairs["op"] not in ("status", "metrics", "reload"):
        pairs["account"] = choose.choice(NAMES)
    if pairs["op"] == "reject":
        pairs |= {"generation": choose.randrange(30),
                  "reason": choose.choice(REASONS)}
    if choose.random() < 0.3:
        pairs["user"] = f"u{choose.randrange(100)}@contoso.example"
    return "".join(f"{k}={v}\n" for k, v in pairs.items()).encode() + b"\n"


def be_client(path, end: float, troubles: list):
    choose = random.Random()
    while time.monotonic() < end:
        data, manner = request(choose), choose.random()
        try:
            if manner < 0.6:
                assert wire.receive(asked(path, data)).endswith(b"\n\n")
            elif manner < 0.8:
                asked(path, data[:-3] if manner < 0.7 else data).close()
            else:
                asked(path, 3 * data).recv(10)
        except Exception as trouble:        # noqa: told by the test
            troubles.append((data, repr(trouble)))


def asked(path, data: bytes):
    s = wire.connect(path)
    s.sendall(data)
    return s


def test_everything_at_the_same_time(lab):
    lab.start_fault()
    endpoints = {name: lab.fault.endpoint(name) for name in NAMES}
    agent = lab.make_agent({name: lab.faulty(endpoint)
                            for name, endpoint in endpoints.items()})
    accounts, troubles = dict(agent.accounts), []
    for name, endpoint in endpoints.items():
        agent.do("import", name, agent=False, give=endpoint.refresh_token)
    agent.start()
    end = time.monotonic() + LASTS_S
    clients = [threading.Thread(target=be_client, args=(
        agent.sockets[0], end, troubles)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    while time.monotonic() < end:
        for endpoint in endpoints.values():
            endpoint.mode = random.choice(["ok", "429", "rotate"])
            endpoint.delay = random.choice([0, 0, 0.2, 1])
        some = random.sample(NAMES, random.randint(3, len(NAMES)))
        agent.accounts = {name: accounts[name] for name in some}
        agent.write()
        agent.process.signal(signal.SIGHUP)
        time.sleep(random.choice([0.05, 0.3, 1]))
    for client in clients:
        client.join(30)
    assert agent.process.alive() and not troubles
    agent.stop()
    assert agent.events("stopped")
