// SPDX-License-Identifier: Apache-2.0
//
// Each rule that a probe's file must pass, broken alone. Needs the probes of tests/sdk/plugins.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin_directory.hpp"
#include "plugin_file.hpp"
#include "plugin_file_checks.hpp"
#include "sha256.hpp"
#include "temporary_directory.hpp"

using namespace limpet;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

fs::path test_probe(const std::string& name)
{
    return fs::path(LIMPET_TEST_PLUGIN_DIR) / (name + ".so");
}

fs::path copy_of(const TemporaryDirectory& directory, const std::string& name)
{
    const fs::path copy = directory.path() / (name + ".so");
    fs::copy_file(test_probe(name), copy, fs::copy_options::overwrite_existing);
    return copy;
}

std::string open_error(const fs::path& path, const std::string& sha256 = "")
{
    const Result<PluginFile> file = open_plugin(path, sha256);
    return file ? "no error" : file.error().text;
}

std::string load_error(const std::string& name)
{
    const Result<PluginFile> file = open_plugin(test_probe(name), "");
    INFO((file ? std::string() : file.error().text));
    REQUIRE(file.has_value());
    Result<PluginLibrary> library = load_plugin(*file);
    if (!library)
        return library.error().text;
    keep_mapped(std::move(*library));
    return "no error";
}

} // namespace

TEST_CASE("A good probe is opened, read and loaded")
{
    const Result<PluginFile> file = open_plugin(test_probe("exec_declarative"), "");
    INFO((file ? std::string() : file.error().text));
    REQUIRE(file.has_value());
    CHECK(file->path.is_absolute());
    CHECK(file->manifest.name == "exec_declarative");
    CHECK(file->bpf_object.size() > 100);
    Result<PluginLibrary> library = load_plugin(*file);
    INFO((library ? std::string() : library.error().text));
    REQUIRE(library.has_value());
    CHECK(keep_mapped(std::move(*library))->name == std::string("exec_declarative"));
}

TEST_CASE("A probe in plain C loads like the others")
{
    CHECK(load_error("plain_c") == "no error");
}

TEST_CASE("Probes opened one after the other are each their own")
{
    // The first descriptor's number is free again when the second file is opened.
    for (const char* name : {"exec_declarative", "throws", "exec_events"}) {
        const Result<PluginFile> file = open_plugin(test_probe(name), "");
        REQUIRE(file.has_value());
        Result<PluginLibrary> library = load_plugin(*file);
        REQUIRE(library.has_value());
        CHECK(keep_mapped(std::move(*library))->name == std::string(name));
    }
}

TEST_CASE("Files that are no probes are told apart")
{
    const TemporaryDirectory directory;
    CHECK_THAT(open_error(directory.path() / "none.so"), Contains("none.so: No such file or directory"));
    CHECK_THAT(open_error(directory.write("text.so", "#!/bin/sh\necho hello\n")),
               Contains("text.so: is a text file, not a probe"));
    CHECK_THAT(open_error(directory.write("bytes.so", std::string("\1\2\3\4\0", 5))), Contains("is not an ELF file"));
    CHECK_THAT(open_error(directory.write("empty.so", "")), Contains("is empty"));
    CHECK_THAT(open_error(directory.write("head.so", "\177ELF\2\1\1")), Contains("is cut short: it has 7 bytes"));
    CHECK_THAT(open_error(directory.path()), Contains("is a directory; a probe is a regular file"));
    CHECK_THAT(open_error("/dev/null"), Contains("is a device"));
    fs::copy_file("/proc/self/exe", directory.path() / "program.so");
    CHECK_THAT(open_error(directory.path() / "program.so"),
               Contains("not a limpet probe: it has no section .limpet.manifest"));
}

TEST_CASE("A probe cut short says so")
{
    const TemporaryDirectory directory;
    const fs::path copy = copy_of(directory, "throws");
    fs::resize_file(copy, fs::file_size(copy) / 2);
    CHECK_THAT(open_error(copy), Contains("is cut short") && Contains("copy or build it again"));
}

TEST_CASE("A probe for another architecture says which")
{
    const TemporaryDirectory directory;
    const fs::path copy = copy_of(directory, "throws");
    std::fstream stream(copy, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(18); // e_machine
    stream.write("\xf3\0", 2);
    stream.close();
    CHECK_THAT(open_error(copy), Contains("is built for riscv, this host is"));
}

TEST_CASE("Links and FIFOs are refused by name")
{
    const TemporaryDirectory directory;
    fs::create_symlink(test_probe("throws"), directory.path() / "link.so");
    CHECK_THAT(open_error(directory.path() / "link.so"),
               Contains("is a symbolic link to " + test_probe("throws").string()));
    REQUIRE(::mkfifo((directory.path() / "fifo.so").c_str(), 0600) == 0);
    CHECK_THAT(open_error(directory.path() / "fifo.so"), Contains("is a FIFO; a probe is a regular file"));
}

TEST_CASE("A file that others can write is refused with the command that mends it")
{
    const TemporaryDirectory directory;
    const fs::path copy = copy_of(directory, "throws");
    ::chmod(copy.c_str(), 0666);
    CHECK_THAT(open_error(copy),
               Contains("is writable by others than its owner (mode 0666)") && Contains("chmod go-w " + copy.string()));
    ::chmod(copy.c_str(), 0664);
    CHECK_THAT(open_error(copy), Contains("mode 0664"));
    ::chmod(copy.c_str(), 0644);
    CHECK(open_error(copy) == "no error");
}

TEST_CASE("A directory above that others can write is refused with the command that mends it")
{
    const TemporaryDirectory directory;
    const fs::path inner = directory.path() / "a" / "b";
    fs::create_directories(inner);
    fs::copy_file(test_probe("throws"), inner / "throws.so");
    ::chmod(inner.parent_path().c_str(), 0775);
    CHECK_THAT(open_error(inner / "throws.so"),
               Contains("lies below " + inner.parent_path().string() + ", where others") &&
                   Contains("chmod go-w " + inner.parent_path().string()));
    ::chmod(inner.parent_path().c_str(), 01777);
    CHECK(open_error(inner / "throws.so") == "no error"); // what is ours in it cannot be replaced by others
    if (::geteuid() == 0) {
        REQUIRE(::chown(inner.c_str(), 65534, 65534) == 0);
        CHECK_THAT(open_error(inner / "throws.so"), Contains("lies below " + inner.parent_path().string()));
        REQUIRE(::chown(inner.c_str(), 0, 0) == 0);
    }
    ::chmod(inner.parent_path().c_str(), 0755);
    fs::create_directory_symlink("b", inner.parent_path() / "link");
    CHECK(open_error(inner.parent_path() / "link" / "throws.so") == "no error");
}

TEST_CASE("A file of another user is refused with the command that mends it")
{
    if (::geteuid() != 0)
        return; // only root can give files away
    const TemporaryDirectory directory;
    const fs::path copy = copy_of(directory, "throws");
    REQUIRE(::chown(copy.c_str(), 65534, 65534) == 0);
    CHECK_THAT(open_error(copy), Contains("belongs to user 65534") && Contains("chown root " + copy.string()));
}

TEST_CASE("A SHA-256 sum is held against the file")
{
    const TemporaryDirectory directory;
    const fs::path text = directory.write("abc", "abc");
    const OwnedFd fd(::open(text.c_str(), O_RDONLY));
    const Result<std::string> sum = sha256_of(fd.get());
    REQUIRE(sum.has_value());
    CHECK(*sum == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); // FIPS 180-2, B.1

    const OwnedFd probe(::open(test_probe("throws").c_str(), O_RDONLY));
    CHECK(open_error(test_probe("throws"), *sha256_of(probe.get())) == "no error");
    CHECK_THAT(open_error(test_probe("throws"), *sum), Contains("its SHA-256 sum is") && Contains("wants " + *sum));
}

TEST_CASE("Other ABIs are refused before any code runs, each with its message")
{
    CHECK_THAT(open_error(test_probe("next_major")),
               Contains("is built for another ABI: it has 2.0, this agent needs 1.x"));
    CHECK_THAT(open_error(test_probe("newer_minor")),
               Contains("needs a newer agent: it has ABI 1.99, this agent offers 1.5"));
}

TEST_CASE("A descriptor that contradicts the manifest is refused")
{
    CHECK_THAT(load_error("lying_major"), Contains("is built for another ABI: it has 2.0"));
}

TEST_CASE("An undefined symbol is named, and so is the file")
{
    CHECK_THAT(load_error("undefined"),
               Contains(test_probe("undefined").string() + ": undefined symbol 'limpet_nobody_defines_this'"));
}

TEST_CASE("A configured probe that is not there is answered with those that are")
{
    AgentConfig agent;
    agent.plugin_dir = LIMPET_TEST_PLUGIN_DIR;
    ProbeConfig probe;
    probe.name = "plain_d";
    const Result<PluginFile> file = open_configured_plugin(agent, probe);
    REQUIRE_FALSE(file.has_value());
    CHECK_THAT(file.error().text, Contains("plain_d.so: no such file; did you mean [plugins.plain_c]?"));
    probe.name = "elephant";
    CHECK_THAT(open_configured_plugin(agent, probe).error().text,
               Contains("probes in that directory: exec_declarative"));
}

TEST_CASE("A file that is another probe than its table says is refused")
{
    AgentConfig agent;
    ProbeConfig probe;
    probe.name = "http";
    probe.path = test_probe("throws");
    CHECK_THAT(open_configured_plugin(agent, probe).error().text,
               Contains("is the probe 'throws'") && Contains("[plugins.throws]"));
}

TEST_CASE("Paths are quoted for the shell only when they must be")
{
    CHECK(shell_quoted("/usr/lib/a-b_c.so") == "/usr/lib/a-b_c.so");
    CHECK(shell_quoted("/a b/it's.so") == "'/a b/it'\\''s.so'");
}
