// SPDX-License-Identifier: Apache-2.0
//
// Results in tests that cannot go on without.
#pragma once

#include <stdexcept>
#include <utility>

#include "result.hpp"

namespace limpet::test {

// The value; throws std::runtime_error with the reason where there is none.
template <typename T>
T taken(Result<T> result)
{
    if (!result)
        throw std::runtime_error(result.error().text);
    return std::move(*result);
}

} // namespace limpet::test
