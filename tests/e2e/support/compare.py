# SPDX-License-Identifier: Apache-2.0
"""Holds limpet's request counts against the truth, and shows every difference as a table.

A `Rows` is what one side (server or client) of limpet says: requests answered whole by (method, status), and the others
by (method, status or "", error_type).
"""

import collections
import dataclasses
import time

SETTLE_SECONDS = 2.0  # counts are right at most this long after the load ended


@dataclasses.dataclass
class Rows:
    answered: collections.Counter
    failed: collections.Counter

    def __sub__(self, earlier):
        return Rows(_difference(self.answered, earlier.answered), _difference(self.failed, earlier.failed))


def _difference(later, earlier):
    return collections.Counter({key: count - earlier[key] for key, count in later.items() if count != earlier[key]})


NOTHING = Rows(collections.Counter(), collections.Counter())


def rows(exposition, side, **labels):
    """The counts of http_<side>_request_duration_seconds over the series with these labels."""
    result = Rows(collections.Counter(), collections.Counter())
    for sample in exposition.select(f"http_{side}_request_duration_seconds_count", **labels):
        method, status = sample.label("http_request_method"), sample.label("http_response_status_code")
        error = sample.label("error_type")
        if not sample.value:
            continue
        if error:
            result.failed[method, status, error] += int(sample.value)
        else:
            result.answered[method, status] += int(sample.value)
    return result


def both_sides(exposition, service_names, ports):
    """{side: Rows} of the traffic of servers with these names and ports."""
    return {"server": rows(exposition, "server", service_name=set(service_names)),
            "client": rows(exposition, "client", server_port={str(port) for port in ports})}


def table(title, expected, counted):
    """The differing keys, one line each; empty when there are none."""
    keys = [key for key in sorted({*expected, *counted}) if expected[key] != counted[key]]
    if not keys:
        return ""
    lines = [f"{title}:", f"  {'':32} {'truth':>8} {'limpet':>8} {'off by':>8}"]
    for key in keys:
        lines.append(f"  {' '.join(key):32} {expected[key]:>8} {counted[key]:>8} {counted[key] - expected[key]:>+8}")
    return "\n".join(lines)


def differences(title, counted, expected, failed):
    """What is wrong with `counted`, as text; empty when the counts are exact."""
    parts = [table(f"{title}, answered", expected, counted.answered),
             table(f"{title}, with error_type", failed, counted.failed)]
    return "\n".join(part for part in parts if part)


def cut_off_differences(title, counted, expected, limit):
    """As differences(), for a load that ended in the middle of at most `limit` requests.

    Per method and status, limpet may call a logged request unanswered, since the client was gone before the answer had
    left; and it may know of requests that the server never got to read. Hence, per method:
    answered <= log <= answered + failed <= log + limit.
    """
    problems = []
    for key in sorted({*expected, *counted.answered}):
        if not expected[key] - limit <= counted.answered[key] <= expected[key]:
            problems.append(f"{title}: {' '.join(key)}: log {expected[key]}, answered {counted.answered[key]}")
    for method in sorted({key[0] for key in [*expected, *counted.answered, *counted.failed]}):
        logged = sum(count for key, count in expected.items() if key[0] == method)
        answered = sum(count for key, count in counted.answered.items() if key[0] == method)
        failed = sum(count for key, count in counted.failed.items() if key[0] == method)
        if not (logged <= answered + failed <= logged + limit and failed <= limit):
            problems.append(f"{title}: {method}: log {logged}, answered {answered}, with error_type {failed} "
                            f"({dict(counted.failed)}), allowed off by {limit}")
    return "\n".join(problems)


def wait_until_equal(describe_differences, seconds=SETTLE_SECONDS):
    """Polls until `describe_differences()` is empty, then looks once more: a count must not go on rising."""
    deadline = time.monotonic() + seconds
    while True:
        problem = describe_differences()
        if not problem:
            break
        if time.monotonic() > deadline:
            raise AssertionError(f"the counts differ {seconds} s after the load ended\n{problem}")
        time.sleep(0.1)
    time.sleep(0.2)
    problem = describe_differences()
    if problem:
        raise AssertionError(f"the counts were right and then went on changing\n{problem}")
