// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value, or what went wrong and how to mend it.
//
// Used by every function that its caller could see fail. Who returns an Error does not log it; who swallows it does,
// once. Stands in for std::expected (C++23) and can be replaced by it: same spelling, fewer members. No threads, no
// allocation beyond the text.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

namespace limpet {

// What went wrong, for an operator: one sentence that names the thing it happened to and, where one is known, the fix.
struct Error {
    int error_number = 0; // errno, or 0 when the kernel had no part in it
    std::string text;
};

// An Error of the form "<what we were doing>: <errno text>".
[[nodiscard]] inline Error errno_error(const std::string& what, int error_number = errno)
{
    return {error_number, what + ": " + std::strerror(error_number)};
}

template <typename T = std::monostate>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::move(value)) {}
    Result(Error error) : state_(std::move(error)) {}

    [[nodiscard]] bool has_value() const { return std::holds_alternative<T>(state_); }
    explicit operator bool() const { return has_value(); }

    // REQUIRES: has_value().
    T& operator*()
    {
        assert(has_value());
        return *std::get_if<T>(&state_);
    }
    const T& operator*() const
    {
        assert(has_value());
        return *std::get_if<T>(&state_);
    }
    T* operator->() { return &**this; }
    const T* operator->() const { return &**this; }

    // REQUIRES: !has_value().
    [[nodiscard]] const Error& error() const
    {
        assert(!has_value());
        return *std::get_if<Error>(&state_);
    }

private:
    std::variant<T, Error> state_;
};

using Done = Result<std::monostate>;

[[nodiscard]] inline Done done()
{
    return Done(std::monostate{});
}

} // namespace limpet
