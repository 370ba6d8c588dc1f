// SPDX-License-Identifier: Apache-2.0
//
// A directory for one test, below the build tree, gone with everything in it at the end. One thread.
#pragma once

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

class TemporaryDirectory {
public:
    // Not below /tmp: everybody can write there, which is what some tests are about.
    TemporaryDirectory()
        : path_(std::filesystem::path(LIMPET_BUILD_DIR) / "tests" / ("tmp-" + std::to_string(std::random_device{}())))
    {
        std::filesystem::create_directories(path_);
    }
    ~TemporaryDirectory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    // Writes a file, with the directories that it needs; returns its path.
    std::filesystem::path write(const std::string& name, const std::string& text) const
    {
        const std::filesystem::path file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
        return file;
    }

private:
    std::filesystem::path path_;
};
