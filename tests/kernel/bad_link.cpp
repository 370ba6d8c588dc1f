// SPDX-License-Identifier: Apache-2.0
#include "bad_link.hpp"

#include <algorithm>
#include <vector>

namespace limpet::test {

namespace {

struct Segment {
    size_t from;
    size_t size;
};

} // namespace

// A segment without payload stands for what only a socket knows: where the connection's first byte belongs.
BadLink::BadLink(Connection& connection, From side, Troubles troubles, std::mt19937& random)
    : connection_(connection), side_(side), troubles_(troubles), random_(random)
{
    connection_.send_at(side_, 0, "");
}

void BadLink::send(const std::string& text)
{
    std::vector<bool> has_arrived(text.size(), false);
    std::vector<Segment> under_way;

    for (;;) {
        const auto missing = static_cast<size_t>(std::ranges::find(has_arrived, false) - has_arrived.begin());
        if (missing == text.size())
            break;
        under_way.clear();
        for (size_t at = missing, size = 0; at < text.size(); at += size) {
            size = std::min(text.size() - at, 1 + random_() % troubles_.longest_segment);
            const auto first = has_arrived.begin() + static_cast<long>(at);
            if (std::find(first, first + static_cast<long>(size), false) == first + static_cast<long>(size) ||
                happens(troubles_.loss))
                continue;
            under_way.push_back({at, size});
            if (happens(troubles_.duplication))
                under_way.push_back({at, size});
        }
        for (size_t place = 0; place < under_way.size(); ++place)
            if (happens(troubles_.reordering))
                std::swap(under_way[place], under_way[place + random_() % (under_way.size() - place)]);
        for (const Segment& segment : under_way) {
            connection_.send_at(side_, sent_ + static_cast<uint32_t>(segment.from),
                                text.substr(segment.from, segment.size));
            std::fill_n(has_arrived.begin() + static_cast<long>(segment.from), segment.size, true);
        }
    }
    sent_ += static_cast<uint32_t>(text.size());
}

void BadLink::end()
{
    connection_.send_at(side_, sent_, "", kFin);
}

} // namespace limpet::test
