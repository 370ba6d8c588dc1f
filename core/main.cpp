// SPDX-License-Identifier: Apache-2.0
//
// The command line: reads it, calls one command, returns its exit code. Everything else is behind the commands.
#include <algorithm>
#include <exception>
#include <functional>
#include <iostream>

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "agent.hpp"
#include "commands.hpp"
#include "config.hpp"
#include "limpet/abi.h"
#include "suggestion.hpp"

namespace {

using namespace limpet;

constexpr const char* kDefaultConfig = "/etc/limpet/limpet.toml";

constexpr const char* kAbout =
    "limpet watches what the programs of this host do, through eBPF and without changing any of them, and serves\n"
    "Prometheus metrics. Probes are plugins, switched on in the configuration file.";

constexpr const char* kMore = R"(
Examples:
  sudo limpet run                          watch this host; metrics at http://127.0.0.1:9465/metrics
  sudo limpet run --config ./limpet.toml   the same with another configuration
  limpet check                             find every mistake in the configuration; changes nothing
  sudo limpet check --load                 also load and attach everything, say what came of it, and end
  limpet plugin list                       the probes there are, and why one cannot be used
  limpet plugin info FILE.so               a probe's keys with their defaults, its metrics and its needs

Files:
  /etc/limpet/limpet.toml     the configuration: every key is in it, with its default and meaning
  /etc/limpet/conf.d/*.toml   fragments, laid over it in the order of their names
  plugins/, else ../lib/limpet/plugins/ seen from the executable: the probes (agent.plugin_dir)

Signals of `limpet run`:
  SIGTERM, SIGINT   stop; nothing is left in the kernel
  SIGHUP            read the configuration again; only what changed starts anew

Exit codes:
  0  fine
  1  something failed while it ran: a port in use, a BPF program refused, an unhealthy probe in `check --load`
  2  the command line cannot be understood
  3  the configuration cannot be used
  4  limpet cannot run on this host: not root, no BTF, no cgroup2, a private cgroup or pid namespace
)";

// With a mistake in the file nothing starts, and the probes' own tables are checked at once too.
int start_agent(const std::filesystem::path& file, RunMode mode)
{
    ParsedConfig parsed = parse_config(file);
    if (!parsed.problems.empty())
        return check_command(file, std::cerr);
    return run_agent(std::move(parsed.config), file, mode);
}

int check_and_load(const std::filesystem::path& file)
{
    const int checked = check_command(file, std::cout, true);
    std::cout.flush();
    return checked == kExitOk ? start_agent(file, RunMode::kLoadOnly) : checked;
}

int print_version()
{
    std::cout << "limpet " LIMPET_VERSION " (plugin ABI " << LIMPET_ABI_MAJOR << '.' << LIMPET_ABI_MINOR << ")\n";
    return kExitOk;
}

// What the command line asks for.
struct Request {
    std::string config_file = kDefaultConfig;
    std::string plugin_file;
    bool load = false;
    std::function<int()> command;
};

void add_config_option(CLI::App& command, Request& request)
{
    command.add_option("--config", request.config_file, "The configuration file")
        ->type_name("FILE")
        ->capture_default_str();
}

CLI::App* add_command(CLI::App& parent, const char* name, const char* about, Request& request,
                      std::function<int()> command)
{
    CLI::App* const added = parent.add_subcommand(name, about);
    added->callback([&request, command = std::move(command)] { request.command = command; });
    return added;
}

void declare_commands(CLI::App& app, Request& request)
{
    app.require_subcommand(1);
    add_config_option(*add_command(app, "run", "Watch this host and serve metrics until SIGTERM or SIGINT", request,
                                   [&] { return start_agent(request.config_file, RunMode::kServe); }),
                      request);

    CLI::App* const check =
        add_command(app, "check", "Find every mistake in the configuration and the probes it names", request, [&] {
            return request.load ? check_and_load(request.config_file) : check_command(request.config_file, std::cout);
        });
    add_config_option(*check, request);
    check->add_flag("--load", request.load, "Also load and attach everything once, then end (needs root)");

    CLI::App* const plugin = app.add_subcommand("plugin", "Look at probes; runs no code of theirs");
    plugin->require_subcommand(1);
    add_config_option(*add_command(*plugin, "list",
                                   "The probes that are configured or found, and whether they can be used", request,
                                   [&] { return list_command(request.config_file, std::cout, std::cerr); }),
                      request);
    add_command(*plugin, "info", "What a probe says about itself: keys, metrics, programs, needs", request,
                [&] { return info_command(request.plugin_file, std::cout, std::cerr); })
        ->add_option("FILE", request.plugin_file, "The probe's shared object")
        ->required()
        ->type_name("");

    add_command(app, "version", "The agent's version and the plugin ABI it offers", request, print_version);
    app.footer(kMore); // last: commands that are added later would show it too
}

// The first word with a hyphen that the command which was found does not know. False when there is none.
bool report_unknown_option(const CLI::App& app)
{
    const CLI::App* command = &app;
    while (!command->get_subcommands().empty())
        command = command->get_subcommands().front();
    const std::vector<std::string> words = app.remaining(true);
    const auto option =
        std::find_if(words.begin(), words.end(), [](const std::string& word) { return word.starts_with('-'); });
    if (option == words.end())
        return false;
    std::vector<std::string> known;
    for (const CLI::Option* each : command->get_options([](const CLI::Option* any) { return any->nonpositional(); }))
        known.push_back("--" + each->get_lnames().front());
    for (const CLI::App* below : command->get_subcommands([](const CLI::App*) { return true; }))
        known.push_back(below->get_name()); // for --version
    std::cerr << "unknown option '" << *option << "'" << suggestion(*option, known)
              << "\nRun with --help for more information.\n";
    return true;
}

// Where one of stdin, stdout and stderr is closed, the next file opened would get its number, and what is written to
// stderr would go there: to a BPF map, or to the descriptor that stops a thread.
void keep_standard_descriptors()
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
        if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) // open() takes the lowest number that is free
            return;
}

// The word that stands where a command should, of `app` or of the command that was found; CLI11 does not name it.
void report_mistake(const CLI::App& app, const CLI::ParseError& mistake)
{
    const std::vector<CLI::App*> found = app.get_subcommands();
    const CLI::App& parent = found.empty() ? app : *found.front();
    const std::vector<std::string> words = parent.remaining();
    if (report_unknown_option(app))
        return;
    std::vector<std::string> known;
    for (const CLI::App* command : parent.get_subcommands([](const CLI::App*) { return true; }))
        known.push_back(command->get_name());
    if (dynamic_cast<const CLI::RequiredError*>(&mistake) == nullptr || known.empty() || words.empty())
        static_cast<void>(app.exit(mistake));
    else
        std::cerr << "unknown command '" << words.front() << "'" << suggestion(words.front(), known)
                  << "\nRun with --help for more information.\n";
}

int run_command_line(int count, char** arguments)
{
    Request request;
    CLI::App app(kAbout, "limpet");
    declare_commands(app, request);
    try {
        app.parse(count, arguments);
    } catch (const CLI::Success& wanted) { // --help
        return app.exit(wanted);
    } catch (const CLI::ParseError& mistake) {
        if (count < 2)
            std::cerr << app.help();
        else
            report_mistake(app, mistake);
        return kExitUsage;
    }
    const int exit_code = request.command();
    if (exit_code != kExitOk || std::cout.flush())
        return exit_code;
    std::cerr << "limpet: what was to be said cannot be written to stdout; is the disk full?\n";
    return kExitFailure;
}

} // namespace

int main(int count, char** arguments)
{
    keep_standard_descriptors();
    try {
        return run_command_line(count, arguments);
    } catch (const std::exception& failure) { // out of memory, or a mistake of ours
        std::cerr << "limpet: " << failure.what() << '\n';
        return kExitFailure;
    }
}
