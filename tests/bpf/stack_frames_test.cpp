// SPDX-License-Identifier: Apache-2.0
//
// The stack of the kernel side, as Linux 6.1 adds it up: 512 bytes for a chain of calls, each frame rounded up to 32. Newer kernels
// round less, so an object that loads here may not load there.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <linux/bpf.h>
#include <unistd.h>

namespace {

constexpr uint32_t kStackBytes = 512;
constexpr uint32_t kFrameStep = 32;
constexpr uint32_t kAboveTailCall = 256; // frames above a function that makes one

// Instructions: call, rX = rY, rX += number.
constexpr uint8_t kCall = BPF_JMP | BPF_CALL, kMove = BPF_ALU64 | BPF_MOV | BPF_X, kAddNumber = 0x07;

struct Function {
    std::string name;
    bool is_entry = false; // a program: in a section of its own kind
    bool makes_tail_calls = false;
    uint32_t frame_bytes = 0;
    std::vector<size_t> callees;
};

struct Place {
    size_t section;
    uint64_t instruction;
    auto operator<=>(const Place&) const = default;
};

// The functions of a BPF ELF object, how much stack each takes and whom it calls.
class Functions {
public:
    explicit Functions(const std::string& path)
    {
        REQUIRE(elf_version(EV_CURRENT) != EV_NONE);
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        INFO(path);
        REQUIRE(fd >= 0);
        elf_ = elf_begin(fd, ELF_C_READ, nullptr);
        REQUIRE(elf_);
        read_symbols();
        read_relocations();
        for (const auto& [symbol, number] : numbers_)
            read_code(symbol, functions_[number]);
        elf_end(elf_);
        ::close(fd);
    }

    [[nodiscard]] const std::vector<Function>& all() const { return functions_; }

    // The deepest chain of calls that begins with a function; "a (96) > b (64)". `above`: bytes of its callers.
    [[nodiscard]] uint32_t deepest(const Function& function, std::string& chain, uint32_t above = 0) const
    {
        const uint32_t frame = (std::max(function.frame_bytes, 1U) + kFrameStep - 1) / kFrameStep * kFrameStep;
        uint32_t below = 0;
        std::string rest;

        INFO(function.name << " makes tail calls, its callers take " << above << " bytes");
        CHECK((!function.makes_tail_calls || above < kAboveTailCall));
        for (const size_t callee : function.callees) {
            std::string text;
            const uint32_t bytes = deepest(functions_[callee], text, above + frame);
            if (bytes <= below)
                continue;
            below = bytes;
            rest = " > " + text;
        }
        chain = function.name + " (" + std::to_string(frame) + ")" + rest;
        return frame + below;
    }

private:
    struct Symbol {
        size_t section;
        uint64_t first, count; // instructions
        auto operator<=>(const Symbol&) const = default;
    };

    Elf_Scn* section_of_type(uint32_t type, Elf_Scn* after = nullptr) const
    {
        GElf_Shdr header;
        for (Elf_Scn* section = elf_nextscn(elf_, after); section; section = elf_nextscn(elf_, section))
            if (gelf_getshdr(section, &header) && header.sh_type == type)
                return section;
        return nullptr;
    }

    std::string section_name(size_t index) const
    {
        GElf_Shdr header;
        size_t names = 0;
        REQUIRE(elf_getshdrstrndx(elf_, &names) == 0);
        REQUIRE(gelf_getshdr(elf_getscn(elf_, index), &header));
        return elf_strptr(elf_, names, header.sh_name);
    }

    void read_symbols()
    {
        Elf_Scn* section = section_of_type(SHT_SYMTAB);
        REQUIRE(section);
        GElf_Shdr header;
        gelf_getshdr(section, &header);
        symbols_ = elf_getdata(section, nullptr);
        for (int i = 0; i < static_cast<int>(header.sh_size / header.sh_entsize); ++i) {
            GElf_Sym symbol;
            gelf_getsym(symbols_, i, &symbol);
            if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF)
                continue;
            Function function;
            function.name = elf_strptr(elf_, header.sh_link, symbol.st_name);
            function.is_entry = section_name(symbol.st_shndx) != ".text";
            numbers_[{symbol.st_shndx, symbol.st_value / sizeof(bpf_insn), symbol.st_size / sizeof(bpf_insn)}] =
                functions_.size();
            functions_.push_back(function);
        }
    }

    // Calls into another section, or of functions that the linker knows by name.
    void read_relocations()
    {
        for (Elf_Scn* section = section_of_type(SHT_REL); section; section = section_of_type(SHT_REL, section)) {
            GElf_Shdr header;
            gelf_getshdr(section, &header);
            Elf_Data* data = elf_getdata(section, nullptr);
            for (int i = 0; i < static_cast<int>(header.sh_size / header.sh_entsize); ++i) {
                GElf_Rel relocation;
                GElf_Sym symbol;
                gelf_getrel(data, i, &relocation);
                gelf_getsym(symbols_, static_cast<int>(GELF_R_SYM(relocation.r_info)), &symbol);
                relocations_[{header.sh_info, relocation.r_offset / sizeof(bpf_insn)}] = symbol;
            }
        }
    }

    // The function that a call at this place goes to.
    [[nodiscard]] std::optional<size_t> target(Place place, const bpf_insn& call) const
    {
        const auto relocation = relocations_.find(place);
        Place wanted = place;
        if (relocation == relocations_.end()) {
            wanted.instruction = static_cast<uint64_t>(static_cast<int64_t>(place.instruction) + 1 + call.imm);
        } else {
            const GElf_Sym& symbol = relocation->second;
            wanted.section = symbol.st_shndx;
            wanted.instruction = symbol.st_value / sizeof(bpf_insn);
            if (GELF_ST_TYPE(symbol.st_info) == STT_SECTION)
                wanted.instruction = static_cast<uint64_t>(call.imm) + 1;
        }
        for (const auto& [symbol, number] : numbers_)
            if (symbol.section == wanted.section && symbol.first == wanted.instruction)
                return number;
        return std::nullopt; // of the kernel
    }

    void read_code(const Symbol& symbol, Function& function)
    {
        const Elf_Data* data = elf_getdata(elf_getscn(elf_, symbol.section), nullptr);
        const auto* code = static_cast<const bpf_insn*>(data->d_buf);
        std::array<bool, 16> is_frame_pointer{};
        const auto reach = [&](int64_t offset) {
            if (offset < 0)
                function.frame_bytes = std::max(function.frame_bytes, static_cast<uint32_t>(-offset));
        };
        is_frame_pointer[BPF_REG_10] = true;
        for (uint64_t at = symbol.first; at < symbol.first + symbol.count; ++at) {
            const bpf_insn& one = code[at];
            const uint32_t kind = BPF_CLASS(one.code);
            if (kind == BPF_LDX && is_frame_pointer[one.src_reg])
                reach(one.off);
            if ((kind == BPF_STX || kind == BPF_ST) && is_frame_pointer[one.dst_reg])
                reach(one.off);
            if (one.code == kCall && one.src_reg == BPF_PSEUDO_CALL) {
                if (const std::optional<size_t> callee = target({symbol.section, at}, one))
                    function.callees.push_back(*callee);
            } else if (one.code == kCall) {
                function.makes_tail_calls |= one.src_reg == 0 && one.imm == BPF_FUNC_tail_call;
            } else if (one.code == kMove && one.off == 0) {
                is_frame_pointer[one.dst_reg] = is_frame_pointer[one.src_reg];
            } else if (one.code == kAddNumber && is_frame_pointer[one.dst_reg]) {
                reach(one.imm); // as clang writes addresses: r2 = r10, r2 += -96
            } else if (kind == BPF_LDX || kind == BPF_ALU || kind == BPF_ALU64) {
                is_frame_pointer[one.dst_reg] = false;
            }
        }
    }

    Elf* elf_ = nullptr;
    Elf_Data* symbols_ = nullptr;
    std::vector<Function> functions_;
    std::map<Symbol, size_t> numbers_;
    std::map<Place, GElf_Sym> relocations_;
};

} // namespace

TEST_CASE("No chain of calls takes more stack than Linux 6.1 gives")
{
    for (const std::string path : {LIMPET_BPF_OBJECTS}) {
        const Functions functions(path);
        uint32_t most = 0;
        for (const Function& function : functions.all()) {
            std::string chain;
            if (!function.is_entry)
                continue;
            const uint32_t bytes = functions.deepest(function, chain);
            INFO(path << ": " << chain);
            CHECK(bytes <= kStackBytes);
            most = std::max(most, bytes);
        }
        INFO(path);
        CHECK(most >= kFrameStep); // programs have been found
    }
}
