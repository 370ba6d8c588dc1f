// SPDX-License-Identifier: Apache-2.0
#include "bpf_loader.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace limpet {
namespace {

// Which programs to try, given those that have failed so far.
class ProgramChoice {
public:
    explicit ProgramChoice(const std::vector<ManifestProgram>& programs) : programs_(programs) {}

    // Leaves `program` out from now on. False when the object is no use without it.
    bool give_up(const std::string& program, const Error& error)
    {
        const ManifestProgram* listed = find(program);
        if (!listed || has_failed(program))
            return false;
        failed_.push_back({program, error.text, listed->needs});
        return listed->optional || (!listed->group.empty() && chosen_of(listed->group));
    }

    [[nodiscard]] bool is_wanted(const std::string& program) const
    {
        const ManifestProgram* listed = find(program);
        if (!listed)
            return true;
        return !has_failed(program) && (listed->group.empty() || chosen_of(listed->group) == listed);
    }

    // An iterator whose only run is that at the start.
    [[nodiscard]] bool runs_once(const std::string& program) const
    {
        const ManifestProgram* listed = find(program);
        return !listed || !listed->at_scrape;
    }

    [[nodiscard]] std::string needs_of(const std::string& program) const
    {
        const ManifestProgram* listed = find(program);
        return listed ? listed->needs : "";
    }

    void report(LoadedBpf& loaded) const
    {
        for (const MissingProgram& failed : failed_) {
            const std::string& group = find(failed.name)->group;
            (!group.empty() && chosen_of(group) ? loaded.replaced : loaded.missing).push_back(failed);
        }
    }

private:
    [[nodiscard]] const ManifestProgram* find(const std::string& program) const
    {
        const auto found = std::find_if(programs_.begin(), programs_.end(),
                                        [&](const ManifestProgram& listed) { return listed.name == program; });
        return found == programs_.end() ? nullptr : &*found;
    }

    [[nodiscard]] bool has_failed(const std::string& program) const
    {
        return std::any_of(failed_.begin(), failed_.end(),
                           [&](const MissingProgram& failed) { return failed.name == program; });
    }

    // The first of a group that has not failed; nullptr when all have.
    [[nodiscard]] const ManifestProgram* chosen_of(const std::string& group) const
    {
        const auto found = std::find_if(programs_.begin(), programs_.end(), [&](const ManifestProgram& listed) {
            return listed.group == group && !has_failed(listed.name);
        });
        return found == programs_.end() ? nullptr : &*found;
    }

    const std::vector<ManifestProgram>& programs_;
    std::vector<MissingProgram> failed_;
};

// What stopped one attempt, and the program to blame ("" when it is none in particular).
struct Obstacle {
    std::string program;
    Error error;
};

std::optional<Obstacle> attach_all(BpfObject& object, const ProgramChoice& choice, int cgroup_fd)
{
    for (const std::string& program : object.program_names()) {
        Done attached = object.attach(program, cgroup_fd);
        if (attached && object.is_iterator(program) && choice.runs_once(program))
            attached = object.run_iterator(program);
        if (!attached)
            return Obstacle{program, attached.error()};
    }
    return std::nullopt;
}

std::optional<Obstacle> attempt(const BpfPlan& plan, const ProgramChoice& choice, BpfObject& object)
{
    for (const std::string& program : object.program_names())
        if (!choice.is_wanted(program))
            object.disable_program(program);
    if (const Done prepared = plan.prepare(object); !prepared)
        return Obstacle{"", prepared.error()};
    if (const Done loaded = object.load(); !loaded)
        return Obstacle{object.failed_program(), loaded.error()};
    return plan.attach ? attach_all(object, choice, plan.cgroup_fd) : std::nullopt;
}

} // namespace

Result<LoadedBpf> load_bpf(const BpfPlan& plan)
{
    ProgramChoice choice(plan.programs);
    for (;;) {
        Result<BpfObject> object = BpfObject::open(plan.bytes, plan.name);
        if (!object)
            return object.error();
        const std::optional<Obstacle> obstacle = attempt(plan, choice, *object);
        if (!obstacle) {
            LoadedBpf loaded{std::move(*object), {}, {}};
            choice.report(loaded);
            return loaded;
        }
        if (choice.give_up(obstacle->program, obstacle->error))
            continue;
        const std::string needs = choice.needs_of(obstacle->program);
        if (needs.empty())
            return obstacle->error;
        return Error{EOPNOTSUPP, "needs " + needs + " (" + obstacle->error.text + ")"};
    }
}

} // namespace limpet
