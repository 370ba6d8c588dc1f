# SPDX-License-Identifier: Apache-2.0
"""Routes: counts by http_route equal nginx's access log, path by path, at both ends."""

import collections
import itertools
import uuid

from support import clients, compare
from support.case import EndToEndCase
from support.servers import Nginx

CONFIG = "[plugins.http]\nenabled = true\n"


def identifiers():
    """(route, target) of requests that all are different."""
    for number in itertools.count(1):
        identifier = uuid.uuid5(uuid.NAMESPACE_URL, str(number))
        yield "/", "/"
        yield "/user/{id}", f"/user/{number * 7919}"
        yield "/user/{id}/orders/{id}", f"/user/{number}/orders/{identifier}?page={number}"
        yield "/blob/{id}", f"/blob/{identifier.hex}"
        yield "/search", f"/search?q={number}/x"
        yield "/static/app.js", "/static/app.js"


class RoutesTest(EndToEndCase):
    def ask(self, config, route_of_target, requests=20_000):
        """Every target about as often as any other; the log and limpet must agree route by route."""
        server = self.start_server(Nginx)
        agent = self.start_agent(config=config)
        result = clients.h2load([server.url(target) for target in route_of_target], requests, 20)
        self.assertEqual(result.answered, requests, result.output)  # most of them 404, which h2load calls failed

        def problem():
            logged = collections.Counter(route_of_target[line.split()[-1]]
                                         for line in server.log_path.read_text().splitlines())
            scrape = agent.metrics()
            return "\n".join(filter(None, (
                compare.table(f"{side} side", keyed(logged), keyed(counted(scrape, side, **labels)))
                for side, labels in (("server", {"service_name": server.service_name}),
                                     ("client", {"server_port": str(server.port)})))))
        compare.wait_until_equal(problem)
        return agent

    def test_identifiers_are_folded(self):
        self.ask(CONFIG, {target: route for route, target in itertools.islice(identifiers(), 600)})

    def test_templates_take_names(self):
        names = {f"/user/{''.join(map(chr, (97 + n // 26, 97 + n % 26)))}": "/user/{name}" for n in range(300)}
        self.ask(CONFIG + 'routes = ["/user/{name}", "/static/*"]\nroutes_per_workload = 2\n',
                 {**names, "/static/a/b.css": "/static/*", "/static/b": "/static/*", "/thing/7": "/thing/{id}", "/": "/"})

    def test_beyond_the_limit_is_other(self):
        words = [f"/{''.join(map(chr, (97 + n // 26, 97 + n % 26)))}" for n in range(100)]
        server = self.start_server(Nginx)
        agent = self.start_agent(config=CONFIG + "routes_per_workload = 10\n")
        clients.h2load([server.url(word) for word in words], 5000, 10)

        def problem():
            seen = counted(agent.metrics(), "server", service_name=server.service_name)
            is_right = len(seen) == 11 and sum(seen.values()) == 5000 and seen["other"] > 4000
            return "" if is_right else str(seen)
        compare.wait_until_equal(problem)

    def test_off_is_no_label(self):
        self.ask(CONFIG + 'routes = "off"\n', {"/user/7": "", "/a": ""}, requests=1000)

    def test_a_template_that_cannot_be_used_fails_the_probe_with_a_reason(self):
        agent = self.launch_agent(config=CONFIG + 'routes = ["/a/*/b"]\n')
        agent.wait_until_health_is(503)
        self.assertIn("routes: \"/a/*/b\" has a '*' that is not its last segment", agent.get("/healthz")[2])


def counted(scrape, side, **labels):
    counts = collections.Counter()
    for sample in scrape.select(f"http_{side}_request_duration_seconds_count", **labels):
        counts[sample.label("http_route")] += int(sample.value)
    return +counts


def keyed(counts):
    """As compare.table wants it."""
    return collections.Counter({(route,): count for route, count in counts.items()})
