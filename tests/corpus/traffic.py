# SPDX-License-Identifier: Apache-2.0
"""The kinds of traffic that the corpus covers, in the order in which its table shows them, each with its title."""

TRAFFIC = {
    "real": "Everyday traffic of real servers and clients",
    "pipelining": "Pipelining",
    "cuts": "Messages cut anywhere",
    "heads": "Heads of 64 KiB, leading empty lines, odd methods and targets",
    "interim": "1xx and `Expect: 100-continue`",
    "bodiless": "Answers without a body: HEAD, 204, 304",
    "chunked": "Chunks, trailers, server-sent events",
    "until_close": "Bodies that end with the connection",
    "uploads": "Uploads, and answers that come before their end",
    "bodies": "Bodies that look like HTTP",
    "aborts": "Aborts and half-closes",
    "handed_off": "CONNECT, upgrades, HTTP/2: hands off",
    "proxy": "PROXY protocol",
    "proxied": "Behind a proxy and in front of upstreams",
    "foreign": "Protocols that begin like HTTP",
    "sending": "sendfile, splice, io_uring, MSG_ZEROCOPY",
    "workers": "SO_REUSEPORT workers, fork after accept, MPTCP, IPv4-mapped IPv6",
    "deferred": "Requests that come before their socket",
    "older": "Connections older than the agent, restarts of the agent",
    "network": "Loss, duplication, reordering, receive packet steering, listeners on raw sockets",
    "scale": "Many connections",
    "durations": "Durations",
    "sizes": "Sizes of bodies",
    "routes": "Routes",
}
