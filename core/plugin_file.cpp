// SPDX-License-Identifier: Apache-2.0
#include "plugin_file.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include <fcntl.h>

#include "plugin_file_checks.hpp"
#include "sha256.hpp"

namespace limpet {
namespace {

std::string abi_text(unsigned abi_major, unsigned abi_minor)
{
    return std::to_string(abi_major) + "." + std::to_string(abi_minor);
}

std::string own_abi()
{
    return abi_text(LIMPET_ABI_MAJOR, LIMPET_ABI_MINOR);
}

Done check_sum(const OwnedFd& fd, const std::filesystem::path& path, const std::string& sha256)
{
    if (sha256.empty())
        return done();
    const Result<std::string> sum = sha256_of(fd.get());
    if (!sum)
        return Error{sum.error().error_number, path.string() + ": " + sum.error().text};
    if (*sum == sha256)
        return done();
    return Error{
        0,
        path.string() + ": its SHA-256 sum is " + *sum + ", the configuration wants " + sha256 +
            "; put the right file there, or, if you know why it changed, the new sum (`sha256sum FILE`) into `sha256`"};
}

// What the dynamic linker said, without Boost's frame around it and with the file's real name.
std::string linker_message(const std::string& what, const std::string& linker_path)
{
    constexpr std::string_view kFrame = "dlerror system message: ";
    const size_t begin = what.find(kFrame);
    std::string text = begin == std::string::npos ? what : what.substr(begin + kFrame.size());
    if (const size_t end = text.rfind(')'); begin != std::string::npos && end != std::string::npos)
        text.resize(end);
    if (text.starts_with(linker_path + ": "))
        text.erase(0, linker_path.size() + 2);
    return text;
}

Error load_error(const PluginFile& file, const std::string& message)
{
    const std::string name = file.path.string();
    constexpr std::string_view kUndefined = "undefined symbol: ";
    if (const size_t at = message.find(kUndefined); at != std::string::npos) {
        const size_t begin = at + kUndefined.size();
        const std::string symbol = message.substr(begin, message.find_first_of(" \t\n,(", begin) - begin);
        return {0,
                name + ": undefined symbol '" + symbol +
                    "': the probe uses code that it does not bring; link it with -z defs as limpet_add_probe() does, "
                    "which names what is missing"};
    }
    if (message.find("failed to map segment") != std::string::npos)
        return {0, name + ": cannot be mapped: " + message + "; is its file system mounted noexec?"};
    return {0, name + ": cannot be loaded: " + message};
}

Error not_a_probe(const PluginFile& file, const std::string& why)
{
    return {0, file.path.string() + ": is not a limpet plugin: " + why + "; build it with limpet_add_probe()"};
}

// Reads the descriptor member by member, since a foreign one may be shorter than ours.
Done check_descriptor(const PluginFile& file, const limpet_plugin* plugin)
{
    if (plugin == nullptr)
        return not_a_probe(file, LIMPET_ENTRY_NAME "() returned no descriptor");
    if (plugin->magic != LIMPET_MAGIC)
        return not_a_probe(file, "its descriptor does not begin with the magic number");
    if (const Done abi = check_abi(file.path.string(), plugin->abi_major, plugin->abi_minor); !abi)
        return abi;
    if (plugin->size_bytes < offsetof(limpet_plugin, operations) + sizeof plugin->operations)
        return not_a_probe(file, "its descriptor is too short");
    const std::string name = plugin->name != nullptr ? plugin->name : "";
    const std::string version = plugin->version != nullptr ? plugin->version : "";
    if (name != file.manifest.name || version != file.manifest.version)
        return Error{0, file.path.string() + ": its code says it is " + name + " " + version + ", its manifest " +
                            file.manifest.name + " " + file.manifest.version + "; build it again from one source"};
    return done();
}

} // namespace

Done check_abi(const std::string& who, uint16_t abi_major, uint16_t abi_minor)
{
    const std::string theirs = abi_text(abi_major, abi_minor);
    if (abi_major != LIMPET_ABI_MAJOR)
        return Error{0, who + ": is built for another ABI: it has " + theirs + ", this agent needs " +
                            std::to_string(LIMPET_ABI_MAJOR) + ".x; build the probe again with this agent's SDK" +
                            (abi_major > LIMPET_ABI_MAJOR ? ", or install a newer agent" : "")};
    if (abi_minor > LIMPET_ABI_MINOR)
        return Error{0, who + ": needs a newer agent: it has ABI " + theirs + ", this agent offers " + own_abi() +
                            "; install a newer agent, or build the probe again with this agent's SDK"};
    return done();
}

Result<PluginFile> open_plugin(const std::filesystem::path& path, const std::string& sha256)
{
    std::error_code error;
    PluginFile file;
    file.path = std::filesystem::absolute(path, error).lexically_normal();
    Result<OwnedFd> fd = open_trusted(file.path);
    if (!fd)
        return fd.error();
    file.fd = std::move(*fd);
    if (const Done sum = check_sum(file.fd, file.path, sha256); !sum)
        return sum.error();
    Result<PluginSections> sections = read_plugin_sections(file.fd.get(), file.path.string());
    if (!sections)
        return sections.error();
    Result<Manifest> manifest = parse_manifest(sections->manifest_text, file.path.string());
    if (!manifest)
        return manifest.error();
    if (const Done abi = check_abi(file.path.string(), manifest->abi_major, manifest->abi_minor); !abi)
        return abi.error();
    file.manifest = std::move(*manifest);
    file.bpf_object = std::move(sections->bpf_object);
    return file;
}

Result<PluginLibrary> load_plugin(const PluginFile& file)
{
    // A descriptor of the library's own, open as long as it is mapped: dlopen() compares names first and would hand out
    // the old library for a number that was used before.
    PluginLibrary loaded;
    loaded.fd = OwnedFd(::fcntl(file.fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!loaded.fd.is_open())
        return errno_error(file.path.string() + ": cannot duplicate its descriptor");
    const std::string linker_path = "/proc/self/fd/" + std::to_string(loaded.fd.get());
    try {
        namespace mode = boost::dll::load_mode;
        loaded.library = boost::dll::shared_library(linker_path, mode::rtld_now | mode::rtld_local);
        if (loaded.library.has(LIMPET_ENTRY_NAME))
            loaded.plugin = loaded.library.get<const limpet_plugin*()>(LIMPET_ENTRY_NAME)();
    } catch (const boost::dll::fs::system_error& failure) {
        return load_error(file, linker_message(failure.what(), linker_path));
    } catch (const std::exception& failure) { // of the library's own code, which stays mapped
        keep_mapped(std::move(loaded));
        return load_error(file, std::string("it threw while it was loaded: ") + failure.what());
    } catch (...) {
        keep_mapped(std::move(loaded));
        return load_error(file, "it threw something unknown while it was loaded");
    }
    Done fine = loaded.library.has(LIMPET_ENTRY_NAME)
                    ? check_descriptor(file, loaded.plugin)
                    : Done(not_a_probe(file, "it does not export " LIMPET_ENTRY_NAME));
    if (fine)
        return loaded;
    keep_mapped(std::move(loaded));
    return fine.error();
}

const limpet_plugin* keep_mapped(PluginLibrary library)
{
    // Never destroyed, on purpose; reachable, so that leak checkers do not take it for a mistake.
    static std::vector<PluginLibrary>* const kKept = std::make_unique<std::vector<PluginLibrary>>().release();
    return kKept->emplace_back(std::move(library)).plugin;
}

} // namespace limpet
