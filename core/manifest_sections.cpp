// SPDX-License-Identifier: Apache-2.0
//
// The half of manifest.hpp that reads ELF; the other half reads TOML.
#include "manifest.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "limpet/abi.h"

namespace limpet {
namespace {

#if defined(__x86_64__)
constexpr unsigned kMachine = EM_X86_64;
constexpr const char* kMachineName = "x86-64";
#elif defined(__aarch64__)
constexpr unsigned kMachine = EM_AARCH64;
constexpr const char* kMachineName = "aarch64";
#else
#error "limpet runs on x86-64 and aarch64"
#endif

constexpr uint64_t kLargestFileBytes = uint64_t{256} << 20;
constexpr size_t kLargestManifestBytes = 256 << 10;

struct CloseElf {
    void operator()(Elf* elf) const { elf_end(elf); }
};
using OwnedElf = std::unique_ptr<Elf, CloseElf>;

std::string machine_text(unsigned machine)
{
    switch (machine) {
    case EM_X86_64:
        return "x86-64";
    case EM_386:
        return "i386";
    case EM_AARCH64:
        return "aarch64";
    case EM_ARM:
        return "arm";
    case EM_BPF:
        return "BPF";
    case EM_RISCV:
        return "riscv";
    default:
        return "machine " + std::to_string(machine);
    }
}

Error not_elf(const std::string& name, std::string_view head)
{
    const bool is_text = std::all_of(head.begin(), head.end(), [](char letter) {
        return static_cast<unsigned char>(letter) >= 0x20 || letter == '\n' || letter == '\t' || letter == '\r';
    });
    return {0, name + (is_text ? ": is a text file, not a probe; " : ": is not an ELF file; ") +
                   "a probe is a shared object built with limpet_add_probe()"};
}

Error cut_short(const std::string& name, uint64_t size_bytes, const std::string& what)
{
    return {0, name + ": is cut short: it has " + std::to_string(size_bytes) + " bytes, but " + what +
                   "; copy or build it again"};
}

// What can be told from the first bytes. Returns the size of the file.
Result<uint64_t> check_head(int fd, const std::string& name)
{
    struct stat status{};
    if (::fstat(fd, &status) != 0)
        return errno_error(name + ": cannot be read");
    const auto size_bytes = static_cast<uint64_t>(status.st_size);
    std::string head(64, '\0');
    const ssize_t length = ::pread(fd, head.data(), head.size(), 0);
    if (length < 0)
        return errno_error(name + ": cannot be read");
    head.resize(static_cast<size_t>(length));
    if (head.empty())
        return Error{0, name + ": is empty; copy or build it again"};
    if (!head.starts_with(ELFMAG))
        return not_elf(name, head);
    if (head.size() < sizeof(Elf64_Ehdr))
        return cut_short(name, size_bytes, "an ELF header alone has " + std::to_string(sizeof(Elf64_Ehdr)));
    if (size_bytes > kLargestFileBytes)
        return Error{0, name + ": is larger than " + std::to_string(kLargestFileBytes) + " bytes, not a probe"};
    return size_bytes;
}

Done check_kind(const GElf_Ehdr& header, const std::string& name, uint64_t size_bytes)
{
    if (header.e_machine != kMachine || header.e_ident[EI_CLASS] != ELFCLASS64)
        return Error{0, name + ": is built for " + machine_text(header.e_machine) +
                            (header.e_ident[EI_CLASS] == ELFCLASS64 ? "" : " (32 bits)") + ", this host is " +
                            kMachineName + "; build the probe for this architecture"};
    if (header.e_type != ET_DYN)
        return Error{0, name + ": is not a shared object; build the probe with limpet_add_probe()"};
    const uint64_t table_bytes = uint64_t{header.e_shnum} * header.e_shentsize;
    if (header.e_shoff > size_bytes || table_bytes > size_bytes - header.e_shoff)
        return cut_short(name, size_bytes,
                         "its section table ends at byte " + std::to_string(header.e_shoff + table_bytes));
    return done();
}

struct Section {
    std::string name;
    Elf_Scn* handle;
    GElf_Shdr header;
};

std::optional<Section> find_section(Elf* elf, const char* wanted)
{
    size_t names_index = 0;
    if (elf_getshdrstrndx(elf, &names_index) != 0)
        return std::nullopt;
    for (Elf_Scn* at = elf_nextscn(elf, nullptr); at != nullptr; at = elf_nextscn(elf, at)) {
        GElf_Shdr header{};
        if (gelf_getshdr(at, &header) == nullptr)
            continue;
        const char* const name = elf_strptr(elf, names_index, header.sh_name);
        if (name != nullptr && std::string_view(name) == wanted)
            return Section{wanted, at, header};
    }
    return std::nullopt;
}

Result<std::vector<std::byte>> contents_of(const Section& section, const std::string& name, uint64_t size_bytes)
{
    const GElf_Shdr& header = section.header;
    if (header.sh_type == SHT_NOBITS || header.sh_size == 0)
        return std::vector<std::byte>{};
    if (header.sh_offset > size_bytes || header.sh_size > size_bytes - header.sh_offset)
        return cut_short(name, size_bytes,
                         "its section " + section.name + " ends at byte " +
                             std::to_string(header.sh_offset + header.sh_size));
    const Elf_Data* const data = elf_rawdata(section.handle, nullptr);
    if (data == nullptr || data->d_buf == nullptr)
        return Error{0, name + ": section " + section.name + " cannot be read: " + elf_errmsg(-1)};
    const auto* const begin = static_cast<const std::byte*>(data->d_buf);
    return std::vector<std::byte>(begin, begin + data->d_size);
}

} // namespace

Result<PluginSections> read_plugin_sections(int fd, const std::string& name)
{
    const Result<uint64_t> size_bytes = check_head(fd, name);
    if (!size_bytes)
        return size_bytes.error();
    elf_version(EV_CURRENT);
    const OwnedElf elf(elf_begin(fd, ELF_C_READ, nullptr));
    GElf_Ehdr header{};
    if (!elf || gelf_getehdr(elf.get(), &header) == nullptr)
        return Error{0, name + ": is a damaged ELF file: " + elf_errmsg(-1) + "; copy or build it again"};
    if (const Done kind = check_kind(header, name, *size_bytes); !kind)
        return kind.error();

    const std::optional<Section> manifest = find_section(elf.get(), LIMPET_MANIFEST_SECTION);
    if (!manifest)
        return Error{0, name + ": is not a limpet probe: it has no section " LIMPET_MANIFEST_SECTION
                               "; build it with limpet_add_probe()"};
    const Result<std::vector<std::byte>> text = contents_of(*manifest, name, *size_bytes);
    if (!text)
        return text.error();
    if (text->size() > kLargestManifestBytes)
        return Error{0, name + ": its manifest is larger than " + std::to_string(kLargestManifestBytes) + " bytes"};

    PluginSections sections;
    std::transform(text->begin(), text->end(), std::back_inserter(sections.manifest_text),
                   [](std::byte letter) { return static_cast<char>(letter); });
    while (!sections.manifest_text.empty() && sections.manifest_text.back() == '\0') // an assembler's .asciz or padding
        sections.manifest_text.pop_back();
    if (const std::optional<Section> object = find_section(elf.get(), LIMPET_BPF_SECTION)) {
        Result<std::vector<std::byte>> bytes = contents_of(*object, name, *size_bytes);
        if (!bytes)
            return bytes.error();
        sections.bpf_object = std::move(*bytes);
    }
    return sections;
}

} // namespace limpet
