// SPDX-License-Identifier: Apache-2.0
#include "resting_programs.hpp"

#include <algorithm>

namespace limpet {

RestingPrograms RestingPrograms::in(const BpfObject& object)
{
    RestingPrograms resting;
    for (const std::string& name : object.program_names())
        if (const auto level = object.number("limpet_rests_" + name); level && object.is_attached(name))
            resting.programs_.push_back({name, static_cast<uint32_t>(*level)});
    return resting;
}

Done RestingPrograms::follow(uint32_t level, BpfObject& object, int cgroup_fd) const
{
    Done result = done();
    for (const Program& program : programs_) {
        if (level >= program.level)
            object.detach(program.name);
        else if (!object.is_attached(program.name))
            if (Done attached = object.attach(program.name, cgroup_fd); !attached)
                result = std::move(attached);
    }
    return result;
}

bool RestingPrograms::any_goes_on(uint32_t before, uint32_t now) const
{
    return std::any_of(programs_.begin(), programs_.end(),
                       [&](const Program& program) { return before >= program.level && now < program.level; });
}

std::vector<std::string> RestingPrograms::at(uint32_t level) const
{
    std::vector<std::string> names;
    for (const Program& program : programs_)
        if (level >= program.level)
            names.push_back(program.name);
    return names;
}

} // namespace limpet
