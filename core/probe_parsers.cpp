// SPDX-License-Identifier: Apache-2.0
//
// The part of Probe that enters its programs where the tap or the agent calls them.
#include "probe.hpp"

#include "log.hpp"
#include "probe_object.hpp"

namespace limpet {
namespace {

constexpr const char* kStreamSection = "limpet/stream";
constexpr const char* kDatagramSection = "limpet/datagram";
constexpr const char* kTickSection = "limpet/tick";

} // namespace

Done Probe::enter_parsers()
{
    const Done entered = enter_stream_parser();
    return entered ? enter_datagram_parser() : entered;
}

Done Probe::enter_datagram_parser()
{
    const BpfObject& object = loaded_->object;
    const std::string parser = object.program_in_section(kDatagramSection);
    if (parser.empty())
        return done();
    std::vector<uint16_t> wanted;
    for (const ConfigVariable& variable : declared_.ports) {
        const Result<std::vector<uint16_t>> ports = read_ports(variable, config_.values);
        if (!ports)
            return ports.error();
        wanted.insert(wanted.end(), ports->begin(), ports->end());
    }
    const Result<uint32_t> number = tap_->add_datagram_parser(object.program_fd(parser), wanted);
    if (!number)
        return number.error();
    datagram_parser_number_ = *number;
    return done();
}

void Probe::tick()
{
    const std::string program = is_running_ && loaded_ ? loaded_->object.program_in_section(kTickSection) : "";
    if (program.empty())
        return;
    if (const Done ran = loaded_->object.run_once(program); !ran && !std::exchange(has_complained_, true))
        log(LogLevel::kWarn, config_.name, ran.error().text);
}

Done Probe::enter_stream_parser()
{
    const BpfObject& object = loaded_->object;
    const std::string parser = object.program_in_section(kStreamSection);
    const uint32_t number = std::exchange(parser_number_, 0);
    if (parser.empty())
        return done();
    if (number == 0)
        return Error{0, "there is room for " + std::to_string(kMaxParsers - 1) + " stream parsers; disable one"};
    if (const Done entered = tap_->set_parser(number, object.program_fd(parser)); !entered)
        return entered;
    parser_number_ = number;
    return done();
}

} // namespace limpet
