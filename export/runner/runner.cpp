// Measures ONNX models on a device that has no Python: answers standard input, or measures one model by itself.
// What it says and how is in export/PROTOCOL.md; its reference is edgesft/measure/agent.py.

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "alone.hpp"

namespace {

using namespace edgesft;

constexpr const char* USAGE =
    "usage: runner [--runtime LIBRARY]                          answers requests on standard input\n"
    "       runner [--runtime LIBRARY] MODEL --inputs ROWS.npz  measures one model and prints JSON lines\n"
    "\n"
    "  --runtime LIBRARY      ONNX Runtime; by default EDGESFT_RUNTIME, or libonnxruntime.so beside this program\n"
    "  --inputs FILE          npz file of numpy.savez with <i>/<name> for input <name> of request <i>\n"
    "  --state INPUT=OUTPUT   an output that is fed back; may be repeated\n"
    "  --provider NAME        as ONNX Runtime spells it (CPUExecutionProvider)\n"
    "  --threads N            of an inference (1)\n"
    "  --samples N            least number of timed inferences (300)\n"
    "  --seconds S            least time spent on them (5)\n"
    "  --rounds N             that they are spread over (20)\n"
    "  --warmup-seconds S     longest warm-up (5)\n";

/// Options with their defaults, which are those of a profile. One that is named later in a list hides those before it.
Json::Map defaults() {
    return {
        {"model", nullptr}, {"runtime", ""},  {"inputs", nullptr}, {"state", Json::List()}, {"provider", CPU},
        {"threads", 1},     {"samples", 300}, {"seconds", 5.0},    {"rounds", 20},          {"warmup-seconds", 5.0},
    };
}

/// The value of an option: a number where its default is one and the text is, or else the text.
Json value_of(const Json& usual, const std::string& text) {
    bool number = usual.as<std::int64_t>() || usual.as<double>();
    try {
        return number ? Reader(text).read() : Json(text);
    } catch (const Refusal&) {
        return text;
    }
}

/// The command line as an object. Throws Refusal where it has something else.
Json options_in(int count, char** words) {
    const Json usual = defaults();
    Json::Map options = defaults();
    Json::List states;
    for (int index = 1; index < count; ++index) {
        std::string word = words[index];
        if (word.rfind("--", 0) != 0) {
            options.emplace_back("model", word);
            continue;
        }
        std::size_t equals = word.find('=');
        std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
        if (name == "model" || !usual.find(name)) throw Refusal("there is no option --" + name);
        if (equals == std::string::npos && ++index == count) throw Refusal("--" + name + " must have a value");
        std::string text = equals == std::string::npos ? words[index] : word.substr(equals + 1);
        if (name == "state") states.push_back(text);
        options.emplace_back(name, name == "state" ? Json(states) : value_of(*usual.find(name), text));
    }
    return options;
}

/// `--state INPUT=OUTPUT` as `feedback` has it.
inline Json::Map states_of(const Fields& options) {
    Json::Map states;
    for (const std::string& pair : options.words("state")) {
        std::size_t equals = pair.find('=');
        if (equals == std::string::npos) throw Refusal("--state must be INPUT=OUTPUT, got " + pair);
        states.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    }
    return states;
}

/// Where the runtime's library is.
std::string library_of(const Fields& options) {
    std::string told = options.text("runtime");
    const char* named = std::getenv("EDGESFT_RUNTIME");
    if (!told.empty()) return told;
    if (named && *named) return named;
    std::error_code error;
    return (fs::read_symlink("/proc/self/exe", error).parent_path() / "libonnxruntime.so").string();
}

/// Does what the options say; 1 where a model cannot be measured.
int run(const Fields& options) {
    Output output;
    Agent agent(library_of(options));
    int code = 0;
    if (!options.given("model")) {
        serve(agent, output);
    } else {
        try {
            auto write = [&](const Json::Map& reply) { output.write(reply); };
            Json::Map all = options.members();
            all.emplace_back("states", states_of(options));
            Json told = all;
            measure_alone(agent, write, Fields("options", told), [&] { return requests_in(options.text("inputs")); });
        } catch (const std::exception& error) {  // the reader must find the reason among the lines
            output.write({{"op", nullptr}, {"error", error.what()}});
            code = 1;
        }
    }
    // All is said. The thread that reads may still wait for input, and some providers crash when they are taken down.
    _exit(code);
}

}  // namespace

int main(int count, char** words) {
    for (int index = 1; index < count; ++index) {
        if (std::string(words[index]) == "--help" || std::string(words[index]) == "-h") {
            std::cout << USAGE;
            return 0;
        }
    }
    try {
        Json options = options_in(count, words);
        Fields fields("options", options);
        if (!fields.given("model") != !fields.given("inputs")) throw Refusal("MODEL and --inputs come together");
        return run(fields);
    } catch (const Refusal& error) {
        std::cerr << USAGE << "\nrunner: " << error.what() << "\n";
        return 2;
    }
}
