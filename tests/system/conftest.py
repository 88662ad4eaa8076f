"""Fixtures, and the servers' last words in the report of a failed test."""

import os

import pytest

from lab import watched
from lab.agent import ensure_user
from lab.dovecots import Dovecots
from lab.lab import Lab
from lab.ledger import Ledger

TAIL = 3000


def pytest_addoption(parser):
    parser.addoption("--alone", choices=("leave", "only"),
                     help="what is marked as alone: see `run`")


def pytest_collection_modifyitems(config, items):
    chosen = config.getoption("--alone")
    if chosen:
        items[:] = [item for item in items if (chosen == "only") == bool(
            item.get_closest_marker("alone"))]


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: see lab/marks.py")
    assert os.geteuid() == 0, "the system tests must run as root"
    ensure_user()
    config.reports = watched.Reports()


def pytest_unconfigure(config):
    config.reports.close()


@pytest.fixture(scope="module", autouse=True)
def nothing_reported(request):
    """By what watches the programs, until all of a module's have ended."""
    yield
    found = request.config.reports.new()
    assert not found, found


@pytest.fixture
def lab():
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def shared_lab():
    """For modules whose tests can share servers."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def dovecots():
    """The lab for Dovecot, with nothing started."""
    with Dovecots() as made:
        yield made


@pytest.fixture(scope="module")
def ledger(request):
    """Takes what docs/RELIABILITY.md says."""
    made = Ledger(request.module)
    yield made
    if not request.session.testsfailed:
        made.write()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for made in map(item.funcargs.get, ("lab", "shared_lab", "dovecots")):
        for name, text in (made.logs() if made else {}).items():
            report.sections.append((name, text[-TAIL:]))
