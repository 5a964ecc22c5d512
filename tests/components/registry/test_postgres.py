"""The registry on PostgreSQL: a database that is away, or goes away in the middle, costs a message and no more."""

import pytest

from components.registry.mlflow_store import ModelRecord, open_store, register, version_of
from components.registry.promotion import CHAMPION, apply, questions
from components.settings.errors import Unavailable
from tests.components.registry.test_registry import NAME, judged
from tests.postgres import PASSWORD, postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    patch = pytest.MonkeyPatch()
    with postgres() as running:
        running.create("mlflow")
        patch.setenv("MLFLOW_TRACKING_URI", running.url("psycopg", "mlflow"))
        patch.setenv("ADLOOM_ARTIFACT_ROOT", str(folder / "artifacts"))
        patch.setenv("ADLOOM_STATE", str(folder))
        patch.chdir(folder)
        yield running
    patch.undo()


@pytest.fixture
def package(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "policy.json").write_text("{}")
    return tmp_path / "package"


def test_a_database_that_goes_away_mid_promotion_leaves_the_old_champion_and_the_rerun_promotes(
    server, package, tmp_path, monkeypatch
):
    store = open_store()
    candidate = register(store, ModelRecord(NAME, package, lambda: f"file://{package}", "shop", "0" * 64))
    decision = judged(store, candidate)
    move = type(store).set_registered_model_alias

    def dies_first(*arguments):
        server.die()
        return move(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "set_registered_model_alias", dies_first)
        with pytest.raises(Unavailable, match="was lost; run the same command again") as caught:
            apply(store, NAME, candidate, decision)
    assert PASSWORD not in str(caught.value)
    with pytest.raises(Unavailable, match=r"cannot be reached: .*refused") as caught:
        apply(store, NAME, candidate, decision)
    assert PASSWORD not in str(caught.value)
    server.start()
    assert version_of(store, NAME, CHAMPION) is None
    assert apply(store, NAME, candidate, decision).action == "promote"
    assert version_of(store, NAME, CHAMPION).number == candidate.number
    assert len(questions(store, NAME)) == 1  # the question that was cut off is not spent twice
    files = [path for path in tmp_path.parent.rglob("*") if path.is_file() and path.stat().st_size < 1_000_000]
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_promoters_on_two_machines_take_turns(server, tmp_path, monkeypatch):
    """The lock is the database's: another state folder, as another machine has, does not get round it."""
    import threading

    from components.registry.locks import store_lock

    order = []

    def second():
        monkeypatch.setenv("ADLOOM_STATE", str(tmp_path))
        with store_lock():
            order.append("second")

    with store_lock():
        other = threading.Thread(target=second)
        other.start()
        other.join(timeout=1.0)
        order.append("first")
    other.join(timeout=20)
    assert order == ["first", "second"]


def test_migrations_under_the_lock_do_not_wait_for_those_who_wait_for_it(server):
    """CREATE INDEX CONCURRENTLY waits for every statement under way: two first starts at once hung for ever."""
    import threading

    import psycopg

    from components.registry.locks import store_lock

    def second():
        with store_lock():
            pass

    address = server.url("psycopg", "mlflow").replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("create table indexed (number integer)")
        connection.execute("set statement_timeout = '20s'")
        with store_lock():
            other = threading.Thread(target=second)
            other.start()
            other.join(timeout=1.0)
            assert other.is_alive()
            connection.execute("create index concurrently on indexed (number)")
        other.join(timeout=20)
        assert not other.is_alive()
