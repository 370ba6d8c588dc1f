# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: the agent under test, real servers and clients, and the comparison of counts.

The correctness of a number is always judged by somebody else's record: a server's own access log, a client's own
summary, or the bytes that a test itself wrote. Standard library only.
"""
