// SPDX-License-Identifier: Apache-2.0
//
// One direction of a bad link, as the receiver's end sees it: segments are cut at random, lost and sent again cut anew,
// overtaken, and come twice. Values of a test's own random numbers; single-threaded.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "http_probe.hpp"

namespace limpet::test {

// How bad: one segment in `loss`, and so on; 0: never.
struct Troubles {
    unsigned loss = 0;
    unsigned duplication = 0;
    unsigned reordering = 0;
    size_t longest_segment = 100;
};

class BadLink {
public:
    // `random` outlives the link.
    BadLink(Connection& connection, From side, Troubles troubles, std::mt19937& random);

    // Sends `text` until the other end has all of it: what is lost comes again behind the rest, overlapping what did arrive.
    void send(const std::string& text);

    // The sender's FIN.
    void end();

private:
    [[nodiscard]] bool happens(unsigned one_in) { return one_in != 0 && random_() % one_in == 0; }

    Connection& connection_;
    From side_;
    Troubles troubles_;
    std::mt19937& random_;
    uint32_t sent_ = 0;
};

} // namespace limpet::test
