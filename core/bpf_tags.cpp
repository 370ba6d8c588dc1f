// SPDX-License-Identifier: Apache-2.0
#include "bpf_tags.hpp"

#include <string_view>

#include <bpf/btf.h>

#include "split.hpp"

namespace limpet {
namespace {

constexpr std::string_view kMark = "limpet:";

} // namespace

BpfTags::BpfTags(const btf* types)
{
    const uint32_t count = btf__type_cnt(types);
    for (uint32_t id = 1; id < count; ++id) {
        const btf_type* type = btf__type_by_id(types, id);
        if (!btf_is_decl_tag(type))
            continue;
        const std::string_view text = btf__name_by_offset(types, type->name_off);
        if (text.substr(0, kMark.size()) == kMark)
            tags_.emplace(std::pair(type->type, btf_decl_tag(type)->component_idx), text.substr(kMark.size()));
    }
}

std::optional<std::vector<std::string>> BpfTags::of(uint32_t type_id, int32_t member) const
{
    const auto found = tags_.find({type_id, member});
    if (found == tags_.end())
        return std::nullopt;
    return split(found->second, '|');
}

std::pair<const btf_type*, uint32_t> struct_behind(const btf* types, uint32_t type_id)
{
    const btf_type* type = btf__type_by_id(types, type_id);
    while (type && (btf_is_mod(type) || btf_is_typedef(type))) {
        type_id = type->type;
        type = btf__type_by_id(types, type_id);
    }
    if (!type || !btf_is_struct(type))
        return {nullptr, 0};
    return {type, type_id};
}

} // namespace limpet
