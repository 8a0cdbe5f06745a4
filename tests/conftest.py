"""The one option of this test-suite, and the signal it sends to processes of its own."""

import signal


def pytest_addoption(parser):
    parser.addoption("--require-gpu", action="store_true", help="fail where a test of a device finds none")


def pytest_configure():
    """Where a shell has put the tests in the background, they and what they start would ignore an interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
