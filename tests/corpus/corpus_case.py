# SPDX-License-Identifier: Apache-2.0
"""A case of the corpus: a real client, a real server, what a record other than limpet's says, and what limpet says.

A case is a test method with @case. Beside the test's own verdict, what both records said is kept for the table that run.py
prints. The base of all cases is that of the end-to-end tests, tests/e2e/support.
"""

import collections
import dataclasses

from support.case import EndToEndCase


@dataclasses.dataclass(frozen=True)
class Description:
    """What a row of the table says. `traffic`: one of traffic.TRAFFIC; `truth`: whose record limpet is held against."""

    traffic: str
    client: str
    server: str
    truth: str


@dataclasses.dataclass
class Seen:
    """One comparison: (method, status) or (method, status, error_type) → number, by the record and by both ends of limpet."""

    truth: dict
    server: dict
    client: dict


seen = collections.defaultdict(list)  # test id → [Seen]


def case(traffic, client, server, truth):
    """Marks a test method as a case of the corpus."""
    def mark(method):
        method.corpus_description = Description(traffic, client, server, truth)
        return method
    return mark


class CorpusCase(EndToEndCase):
    def unseen(self, agent, reason):
        """limpet_unseen_total of this reason."""
        return agent.metrics().total("limpet_unseen_total", reason=reason)

    def assert_counts_equal_log(self, agent, server, failed=None, cut_off=0, since=None):
        truth = server.log_counts()
        truth.subtract(since or {})
        truth.update(failed or {})
        try:
            super().assert_counts_equal_log(agent, server, failed, cut_off, since)
        finally:
            self.remember(truth, self.rows_of_both_sides(agent, server))

    def assert_scripted_counts(self, agent, port, answered, failed=None, before=None):
        try:
            super().assert_scripted_counts(agent, port, answered, failed, before)
        finally:
            now = self.scripted_rows(agent, port)
            self.remember({**answered, **(failed or {})},
                          {side: now[side] - before[side] if before else now[side] for side in now})

    def remember(self, truth, rows):
        seen[self.id()].append(Seen({key: count for key, count in truth.items() if count},
                                    *({**rows[side].answered, **rows[side].failed} for side in ("server", "client"))))
