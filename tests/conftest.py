"""The one option of this test-suite."""


def pytest_addoption(parser):
    parser.addoption("--require-gpu", action="store_true", help="fail where a test of a device finds none")
