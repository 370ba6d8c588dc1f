// SPDX-License-Identifier: Apache-2.0
#include "connection_sample.hpp"

#include <algorithm>

#include "governor.hpp"

namespace limpet {
namespace {

constexpr uint8_t kParsers = 15;            // verdicts 1 to 15
constexpr std::chrono::seconds kTelling{3}; // an epoch of this length tells how many connections there are

// Also of a connection that has ended since, while nobody else has its slot.
bool was_parsed(const limpet_connection& connection)
{
    const uint8_t verdict = __atomic_load_n(&connection.head.verdict, __ATOMIC_RELAXED);
    return verdict >= 1 && verdict <= kParsers;
}

bool has_parser(const limpet_connection& connection)
{
    return connection.head.cookie != 0 && was_parsed(connection);
}

// Unless the slot has passed to another one.
void forget(limpet_connection& connection, __u64 cookie)
{
    __atomic_compare_exchange_n(&connection.head.cookie, &cookie, __u64{0}, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

// Every connection that is followed was in the sample until now.
void stamp(ConnectionSample::Connections connections, uint8_t epoch)
{
    for (limpet_connection& connection : connections)
        if (has_parser(connection))
            __atomic_store_n(&connection.head.tries, epoch, __ATOMIC_RELAXED);
}

// Those of whom something may have passed unseen begin anew. `age`: in epochs, since they were in the sample.
void forget_older(ConnectionSample::Connections connections, uint8_t epoch, uint8_t age)
{
    for (limpet_connection& connection : connections) {
        const __u64 cookie = connection.head.cookie;
        const uint32_t alias = connection.head.alias;
        limpet_connection& parsed = alias && alias <= connections.size() ? connections[alias - 1] : connection;
        const __u64 cookie_of_parsed = parsed.head.cookie;
        if (!has_parser(parsed) || static_cast<uint8_t>(epoch - parsed.head.tries) <= age)
            continue;
        forget(connection, cookie);
        forget(parsed, cookie_of_parsed);
    }
}

} // namespace

uint16_t ConnectionSample::new_salt() const
{
    const auto next = static_cast<uint16_t>(salt_ * 25173U + 13849U); // every number comes once
    return next ? next : 1;
}

void ConnectionSample::begin_epoch(Clock::time_point now)
{
    ++epoch_;
    epoch_began_at_ = now;
    gone_ = {};
    for (Counted& counted : counted_)
        counted.requests = 0;
}

SampleSize ConnectionSample::size() const
{
    SampleSize size = gone_;
    for (const Counted& counted : counted_)
        size.add(counted.requests);
    return size;
}

void ConnectionSample::end_epoch(Clock::time_point now)
{
    const SampleSize drawn = size();
    error_.end_epoch(now, drawn, weight_of(level_));
    if (now - epoch_began_at_ >= kTelling)
        connections_ = drawn.connections * weight_of(level_);
}

// What all have had before the first epoch is not of the sample.
void ConnectionSample::look_at(Connections connections)
{
    counted_.resize(connections.size());
    std::transform(connections.begin(), connections.end(), counted_.begin(), [](const limpet_connection& connection) {
        return Counted{connection.head.generation, connection.done, 0};
    });
}

void ConnectionSample::count(Connections connections)
{
    counted_.resize(connections.size());
    for (size_t slot = 0; slot < connections.size(); ++slot) {
        const limpet_connection& connection = connections[slot];
        Counted& counted = counted_[slot];
        if (!was_parsed(connection) || connection.head.tries != epoch_)
            continue;
        if (counted.generation != connection.head.generation) {
            gone_.add(counted.requests);
            counted = {connection.head.generation, 0, 0};
        }
        counted.requests += static_cast<uint16_t>(connection.done - counted.done);
        counted.done = connection.done;
    }
}

double ConnectionSample::number_of(Connections connections, uint16_t age, uint16_t ages_of_epoch) const
{
    if (weight_of(level_) > 1)
        return connections_;
    return static_cast<double>(std::count_if(connections.begin(), connections.end(), [&](const limpet_connection& one) {
        return was_parsed(one) && one.done && static_cast<uint16_t>(age - one.last_used) <= ages_of_epoch;
    }));
}

double ConnectionSample::relative_error(Clock::time_point now) const
{
    const uint32_t weight = weight_of(level_);
    return error_.relative(now, weight > 1 ? size() : SampleSize{}, weight);
}

void ConnectionSample::set_level(uint32_t level, Connections connections, double number, Clock::time_point now)
{
    const bool was_sampled = weight_of(level_) > 1;
    const bool is_sampled = weight_of(level) > 1;
    if (was_sampled) {
        count(connections);
        end_epoch(now);
    }
    if (!was_sampled && is_sampled) {
        salt_ = new_salt();
        stamp(connections, epoch_);
        look_at(connections);
        connections_ = number;
    }
    if (was_sampled && !is_sampled) // an epoch that begins with another level leaves what it does not follow as it was
        forget_older(connections, epoch_, salt_ == salt_before_ ? 0 : 1);
    level_ = level;
    salt_before_ = salt_;
    if (is_sampled)
        begin_epoch(now);
}

bool ConnectionSample::step(Connections connections, Clock::time_point now)
{
    if (weight_of(level_) <= 1)
        return false;
    count(connections);
    if (now - epoch_began_at_ < kEpoch)
        return false;
    end_epoch(now);
    salt_before_ = salt_;
    salt_ = new_salt();
    begin_epoch(now);
    forget_older(connections, epoch_, 1);
    return true;
}

uint64_t ConnectionSample::control() const
{
    return uint64_t{level_} | uint64_t{epoch_} << 16 | uint64_t{salt_} << 32 | uint64_t{salt_before_} << 48;
}

} // namespace limpet
