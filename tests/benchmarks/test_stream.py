"""The benchmark of streams: it finds nothing lost or doubled, and sees what is."""

from contextlib import closing

import pytest

from benchmarks.mock_kafka import mock_kafka
from benchmarks.stream import Place, accounted, create_topics, kills, throughput
from components.serving.journal import FILE, connect


@pytest.mark.slow
def test_a_small_run_loses_nothing_and_what_is_lost_is_seen(tmp_path):
    with mock_kafka() as broker:
        first, second = (Place(broker.servers, name, tmp_path / name) for name in ("first", "second"))
        create_topics(first, broker)
        done = throughput(first, 300)
        assert (done["lost"], done["in_histories"]) == (0, 300)
        create_topics(second, broker)
        sent, done = kills(second, 1)
        assert (done["lost"], done["doubled"]) == (0, 0) and done["messages"] >= 56
        with closing(connect(second.folder / FILE)) as connection:
            connection.execute("DELETE FROM tracked WHERE id = ?", (sent.stored[0],))
            connection.execute("INSERT INTO faults SELECT * FROM faults LIMIT 1")
        again = accounted(second, sent)
        assert (again["lost"], again["doubled"]) == (1, 1)
