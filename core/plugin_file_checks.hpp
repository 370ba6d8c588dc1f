// SPDX-License-Identifier: Apache-2.0
//
// Who may have written a probe's file: the rules that it must pass before anything in it is looked at. No threads.
#pragma once

#include <filesystem>

#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

// Opens `path` (absolute) for reading after these checks, each with its own message: it is there, a regular file and no
// link; it belongs to root, to the user that the agent runs as, or to the owner of the agent's own executable, who
// could replace the agent anyway (a build tree run with sudo); neither it nor a directory above it can be written by
// group or others.
[[nodiscard]] Result<OwnedFd> open_trusted(const std::filesystem::path& path);

// A path as it would be typed in a shell.
[[nodiscard]] std::string shell_quoted(const std::filesystem::path& path);

} // namespace limpet
